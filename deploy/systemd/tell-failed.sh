#!/bin/sh
# Tells that a unit has failed, with the end of its log.
set -eu

journalctl --unit "$1" --lines 20 --output cat --no-pager | "$(dirname "$0")/../alarm.sh" "$1"
