#!/bin/bash
# PID 1: lets in the key of _AUTHORIZED_PUBLIC_KEY as root, keeps the container's environment for the session, serves SSH, and
# ends when the first session does. Nobody who comes: it waits for ever, as its model did.
set -eu
umask 077

mkdir -p /root/.ssh
printf '%s\n' "${_AUTHORIZED_PUBLIC_KEY:?no key to let in}" >/root/.ssh/authorized_keys

# Names that start with an underscore are not handed on.
for name in $(compgen -e); do
    case $name in _* | HOME | HOSTNAME | PWD | SHLVL | TERM) continue ;; esac
    printf 'export %s=%q\n' "$name" "${!name}"
done >/run/container-environment

ssh-keygen -A
# The session's process tells us of its end; the connection then still has its exit status to bring home.
trap 'read -r connection </run/connection; tail --pid="$connection" -s 0.1 -f /dev/null; exit 0' USR1
trap 'exit 0' TERM INT
/usr/sbin/sshd -D -o UsePAM=no -o ForceCommand=/usr/local/bin/session.sh &
wait $!
