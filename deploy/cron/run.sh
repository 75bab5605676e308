#!/bin/sh
# Runs a command of manage.py for the crontab, one of a NAME at a time on this host. Its output goes to
# the journal as it comes; when it fails, the end of that is told as for a systemd unit (alarm.sh).
#
#     run.sh NAME COMMAND [ARGUMENT ...]
set -eu

name=$1
shift
deploy=$(dirname "$0")/..
# Locks the file of the unit of that name: every user may read it, and nobody has to make one.
exec 9<"$deploy/systemd/openstates-realtime-$name.service"
flock -n 9 || exit 0
. "$deploy/settings.sh"
tell() { timeout 60 "$deploy/alarm.sh" "openstates-realtime-$name"; }
scratch=$(mktemp -d) || { echo "no temporary folder can be made: is the disk full?" | tell; exit 1; }
trap 'rm -rf "$scratch"' EXIT
{ "$deploy/manage.sh" "$@" 2>&1 || touch "$scratch/failed"; } | tee "$scratch/log" | logger -t "$1"
exec 9<&-
[ -e "$scratch/failed" ] || exit 0
tail -n 20 "$scratch/log" | tell
