#!/bin/sh
# Tells that NAME has failed: passes standard input, the end of its log, to the command in ALARM_COMMAND
# of /etc/openstates-realtime.env, by default one that writes it to the journal as an error.
#
#     alarm.sh NAME
set -eu

{ echo "$1 failed on $(hostname)"; cat; } \
    | sh -c "${ALARM_COMMAND:-logger -t openstates-realtime-failed -p user.err}"
