# shellcheck shell=sh disable=SC2034
# Sourced by tests/clients/run.sh and tests/bench/run.sh: an aictld of its own, away from the user's.
#
#   sandbox_open DIR         a home directory below DIR; every path of aictl is inside it
#   sandbox_daemon BUILD     starts BUILD's aictld with the config.json that was put there
#   aictl ARGUMENT...        the client of that daemon
#   first_url                the daemon's address, from `aictl status --json` on standard input
#   free_port                prints a port nobody listens on
#   sandbox_started PID      a process that sandbox_close ends
#   sandbox_close            ends what was started; for a trap on EXIT

sandbox_pids=

sandbox_open() {
    sandbox_home=$1/home
    sandbox_runtime=$(mktemp -d)
    mkdir -p "$sandbox_home/.config/aictl"
    chmod 700 "$sandbox_home"
    sandbox_config=$sandbox_home/.config/aictl/config.json
    sandbox_log=$1/aictld.log
}

exec_in_sandbox() {
    exec env -i PATH="$PATH" HOME="$sandbox_home" XDG_RUNTIME_DIR="$sandbox_runtime" LANG=C.UTF-8 "$@"
}

sandbox_started() {
    sandbox_pids="$sandbox_pids $1"
}

sandbox_daemon() {
    sandbox_build=$1
    (exec_in_sandbox "$1/daemon/aictld") >"$sandbox_log" 2>&1 &
    sandbox_pid=$!
    sandbox_started $sandbox_pid
    tries=0
    until aictl status >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ] || ! kill -0 $sandbox_pid 2>/dev/null; then
            echo "aictld did not start:" >&2
            cat "$sandbox_log" >&2
            exit 1
        fi
        sleep 0.1
    done
}

aictl() {
    (exec_in_sandbox "$sandbox_build/client/aictl" "$@")
}

first_url() {
    grep -o '"url": *"[^"]*"' | head -n 1 | cut -d '"' -f 4 | sed 's,/$,,'
}

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

sandbox_close() {
    for pid in $sandbox_pids; do
        kill "$pid" 2>/dev/null || :
    done
    wait 2>/dev/null || :
    rm -rf "${sandbox_runtime:-}"
    sandbox_pids=
    sandbox_runtime=
}
