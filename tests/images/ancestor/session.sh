#!/bin/bash
# One session: the container's environment, then what was asked for or a login shell; its end is the container's.
. /run/container-environment
if [[ -n ${SSH_ORIGINAL_COMMAND:-} ]]; then
    bash -c "$SSH_ORIGINAL_COMMAND"
else
    bash -l
fi
status=$?
printf '%s\n' "$PPID" >/run/connection
kill -USR1 1
exit "$status"
