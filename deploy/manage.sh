#!/bin/sh
# manage.py as the service runs it on a host, with the settings of /etc/openstates-realtime.env. They
# are read as systemd and docker read them: everything behind the name is the value, and nothing in
# it is special, so that a URL may hold &, $ and the like.
set -eu

while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    [A-Z]*=*) export "$line" ;;
    esac
done <"${SETTINGS:-/etc/openstates-realtime.env}"
cd "$(dirname "$0")/.."
exec .venv/bin/python manage.py "$@"
