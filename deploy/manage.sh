#!/bin/sh
# Runs manage.py with the settings of the service, which settings.sh reads.
set -eu

cd "$(dirname "$0")/.."
. deploy/settings.sh
[ -r "$SETTINGS" ] || { echo "$SETTINGS is not there, or $(id -un) may not read it" >&2; exit 1; }
exec .venv/bin/python manage.py "$@"
