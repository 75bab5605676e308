#!/bin/sh
# Runs manage.py with the settings of /etc/openstates-realtime.env. They are read as systemd and docker
# read them: everything after NAME= is the value, and no character in it is special. So a URL may
# contain & or $.
set -eu

while IFS= read -r line || [ -n "$line" ]; do
    case $line in
    [A-Z]*=*) export "$line" ;;
    esac
done <"${SETTINGS:-/etc/openstates-realtime.env}"
cd "$(dirname "$0")/.."
exec .venv/bin/python manage.py "$@"
