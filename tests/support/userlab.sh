#!/bin/bash
# A private machine with a real `systemd --user`, for tests of the units. Needs root and cgroup2.
#
#   userlab.sh boot [STAGE]    boots with the tree STAGE copied over /, prints "ready PID", and takes
#                              the machine down when its standard input ends
#   userlab.sh user PID CMD... runs CMD in it as the user `lab`, in that user's session
#   userlab.sh root PID CMD... runs CMD in it as root
#
# The idea: the systemd that is installed here runs as process 1 of new namespaces (processes, mounts,
# cgroups, network, names) on an overlay of / whose changes live in memory. Nothing it does is seen
# outside, and nothing stays behind. A lingering user brings up the user manager.
# Exit status 77, with a line on standard error: this machine cannot do it.
set -eu

lab_uid=7777

skip() {
    echo "SKIP: $*" >&2
    exit 77
}

wait_for() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# ---- running things in it -------------------------------------------------------------------------

as_root() { # PID COMMAND...
    local pid=$1
    shift
    nsenter -t "$pid" --pid --mount --cgroup --uts --ipc --net -- \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
}

as_user() { # PID COMMAND...
    local pid=$1
    shift
    as_root "$pid" setpriv --reuid=$lab_uid --regid=$lab_uid --init-groups -- \
        env PATH=/usr/local/bin:/usr/bin:/bin HOME=/home/lab USER=lab LOGNAME=lab SHELL=/bin/sh \
        XDG_RUNTIME_DIR=/run/user/$lab_uid \
        DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$lab_uid/bus "$@"
}

# ---- from here to systemd: inside the new namespaces ----------------------------------------------

add_lab_user() { # ROOT
    echo "lab:x:$lab_uid:$lab_uid::/home/lab:/bin/sh" >>"$1/etc/passwd"
    echo "lab:x:$lab_uid:" >>"$1/etc/group"
    echo 'lab:!:19000::::::' >>"$1/etc/shadow"
    mkdir -p "$1/home/lab" "$1/var/lib/systemd/linger"
    chown $lab_uid:$lab_uid "$1/home/lab"
    touch "$1/var/lib/systemd/linger/lab"
}

# Only what a user manager needs is started: no service of the host, no disk of its fstab.
reduce_boot() { # ROOT
    : >"$1/etc/fstab"
    cat >"$1/etc/systemd/system/userlab.target" <<'UNIT'
[Unit]
Requires=basic.target
Wants=dbus.socket systemd-logind.service systemd-user-sessions.service
After=basic.target
AllowIsolate=yes
UNIT
}

mount_dev() { # ROOT
    mount -t tmpfs -o mode=755 tmpfs "$1/dev"
    local node
    for node in null zero full random urandom tty; do
        touch "$1/dev/$node"
        mount --bind "/dev/$node" "$1/dev/$node"
    done
    mkdir "$1/dev/shm" "$1/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
    ln -s pts/ptmx "$1/dev/ptmx"
    ln -s /proc/self/fd "$1/dev/fd"
}

mount_kernel() { # ROOT
    # /proc/sys and /sys read-only: systemd then leaves the host's settings and devices alone.
    mount -t proc proc "$1/proc"
    mount --bind "$1/proc/sys" "$1/proc/sys"
    mount -o remount,bind,ro "$1/proc/sys"
    mount -t sysfs -o ro sysfs "$1/sys"
    mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
}

init() { # DIR STAGE
    local root=$1/machine/root
    mkdir "$1/machine"
    mount -t tmpfs -o mode=755 tmpfs "$1/machine"
    mkdir "$1/machine/upper" "$1/machine/work" "$root"
    mount -t overlay overlay \
        -o "lowerdir=/,upperdir=$1/machine/upper,workdir=$1/machine/work" "$root"
    add_lab_user "$root"
    reduce_boot "$root"
    [ -z "$2" ] || tar -C "$2" --no-same-owner -cf - . | tar -C "$root" --no-same-owner -xf -
    mount_kernel "$root"
    mount_dev "$root"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mkdir "$root/.before"
    cd "$root"
    pivot_root . .before
    umount -l /.before
    exec env -i container=userlab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --system --unit=userlab.target --log-target=journal
}

# ---- outside --------------------------------------------------------------------------------------

check_machine() {
    [ "$(id -u)" = 0 ] || skip "needs root"
    [ -x /lib/systemd/systemd ] || skip "needs the package systemd"
    ls /lib/*/security/pam_systemd.so >/dev/null 2>&1 || skip "needs the package libpam-systemd"
    [ -e /usr/lib/systemd/user/dbus.socket ] || skip "needs the package dbus-user-session"
    unshare --pid --fork --mount --cgroup --uts --ipc --net true 2>/dev/null ||
        skip "this root may not make namespaces"
}

# A cgroup of its own: the inner systemd never sees or moves a process of ours.
make_cgroup() {
    local mount
    for mount in /sys/fs/cgroup/unified /sys/fs/cgroup; do
        [ "$(stat -f -c %T "$mount" 2>/dev/null)" = cgroup2fs ] || continue
        cgroup=$mount/userlab.$$
        mkdir "$cgroup" 2>/dev/null && return 0
    done
    cgroup=
    skip "needs a cgroup2 that can be written to"
}

take_down() {
    [ -z "${pid:-}" ] || kill -KILL "$pid" 2>/dev/null || :
    wait 2>/dev/null || :
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        [ -d "${cgroup:-/nowhere}" ] || break
        find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || :
        sleep 0.1
    done
    rm -rf "${dir:-}"
}

has_booted() {
    as_root "$pid" systemctl is-active --quiet "user@$lab_uid.service" &&
        as_user "$pid" systemctl --user is-active --quiet default.target
}

find_first_process() { # PID of unshare
    pid=$(tr -d ' ' <"/proc/$1/task/$1/children")
    [ "$(cat "/proc/$pid/comm")" = systemd ]
}

boot() { # [STAGE]
    check_machine
    trap take_down EXIT
    dir=$(mktemp -d)
    make_cgroup
    (
        echo "$BASHPID" >"$cgroup/cgroup.procs"
        exec unshare --fork --kill-child=KILL --pid --mount --cgroup --uts --ipc --net \
            --propagation private "$(readlink -f "$0")" init "$dir" "${1:-}"
    ) >"$dir/boot.log" 2>&1 </dev/null &
    if ! { wait_for 10 find_first_process $! && wait_for 60 has_booted; }; then
        echo "the private systemd did not come up:" >&2
        cat "$dir/boot.log" >&2
        [ -z "${pid:-}" ] || as_root "$pid" journalctl -b --no-pager -n 40 >&2 || :
        exit 1
    fi
    echo "ready $pid"
    cat >/dev/null
}

verb=$1
shift
case $verb in
boot | init) "$verb" "$@" ;;
user) as_user "$@" ;;
root) as_root "$@" ;;
*)
    sed -n '2,8p' "$0" >&2
    exit 2
    ;;
esac
