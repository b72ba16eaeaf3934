#!/bin/sh
# verify_units.sh BUILT SOURCE: systemd itself finds nothing to say about the units as installed.
# ExecStart must exist for that, so a copy names a program that is there on every machine.
set -eu
command -v systemd-analyze >/dev/null 2>&1 || {
    echo "SKIP: needs systemd-analyze (package systemd)"
    exit 77
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$2"/*.socket "$dir"
sed 's,^ExecStart=.*,ExecStart=/bin/true,; /^Documentation=/d' "$1/aictld.service" >"$dir/aictld.service"
said=$(XDG_RUNTIME_DIR=$dir SYSTEMD_LOG_LEVEL=warning systemd-analyze --user verify "$dir"/aictld* 2>&1) || {
    echo "$said"
    exit 1
}
if [ -n "$said" ]; then
    echo "$said"
    exit 1
fi
echo "$(ls "$dir" | wc -l) units are verified"
