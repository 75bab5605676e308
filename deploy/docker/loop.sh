#!/bin/sh
# Replaces cron in a container: imports every two minutes, archives and finalizes every ten, sweeps
# every hour, prunes once a day, one command at a time. A command that fails logs why and runs again at its next turn.
# SIGTERM is passed to the running command and ends the loop when that has ended.
set -u

PYTHON=${PYTHON:-python}
PAUSE=${PAUSE:-120}
turn=0
stopped=
child=

stop() {
    stopped=yes
    [ -n "$child" ] || return
    kill -TERM "$child" 2>/dev/null
    # Again: a child that has only just started may miss the first signal.
    (sleep 1 && kill -TERM "$child" 2>/dev/null) &
}
trap stop TERM INT

run() {
    [ -n "$stopped" ] && return
    "$@" &
    child=$!
    # A signal may have arrived before the child existed.
    [ -z "$stopped" ] || stop
    # A signal interrupts the wait, not the child.
    while kill -0 "$child" 2>/dev/null; do wait "$child"; done
    child=
}

while [ -z "$stopped" ]; do
    run "$PYTHON" manage.py import_realtime --until-empty --time-limit 900
    if [ $((turn % 5)) -eq 0 ]; then
        run "$PYTHON" manage.py archive_realtime --time-limit 540
        run "$PYTHON" manage.py finalize_realtime --time-limit 1800
    fi
    if [ $((turn % 30)) -eq 0 ]; then
        run "$PYTHON" manage.py import_realtime --sweep --until-empty --time-limit 900
    fi
    if [ $((turn % 720)) -eq 0 ]; then
        run "$PYTHON" manage.py prune_realtime
    fi
    turn=$((turn + 1))
    run sleep "$PAUSE"
done
