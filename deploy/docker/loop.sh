#!/bin/sh
# The crontab of a container that has no cron: imports every two minutes, archives and finalizes
# every ten, prunes once a day, one after the other. A command that fails has said why, and is
# tried again at its next turn. SIGTERM ends the turn that is going on in good order.
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
    # A child that had only begun may have lost it.
    (sleep 1 && kill -TERM "$child" 2>/dev/null) &
}
trap stop TERM INT

run() {
    [ -n "$stopped" ] && return
    "$@" &
    child=$!
    # A signal may have come before there was a child to hand it to.
    [ -z "$stopped" ] || stop
    # A signal ends the wait, not the child.
    while kill -0 "$child" 2>/dev/null; do wait "$child"; done
    child=
}

while [ -z "$stopped" ]; do
    run "$PYTHON" manage.py import_realtime --until-empty --time-limit 900
    if [ $((turn % 5)) -eq 0 ]; then
        run "$PYTHON" manage.py archive_realtime --time-limit 540
        run "$PYTHON" manage.py finalize_realtime --time-limit 1800
    fi
    if [ $((turn % 720)) -eq 0 ]; then
        run "$PYTHON" manage.py prune_realtime
    fi
    turn=$((turn + 1))
    run sleep "$PAUSE"
done
