#!/bin/sh
# run_criterion.sh MIN BINARY: runs a Criterion binary and fails when fewer than MIN tests ran, since
# a filter or an empty binary passes otherwise.
min=$1
shift
out=$("$@" --jobs 2 --color=never 2>&1)
status=$?
printf '%s\n' "$out"
tested=$(printf '%s\n' "$out" | sed -n 's/.*Tested: \([0-9][0-9]*\).*/\1/p' | tail -n 1)
if [ "${tested:-0}" -lt "$min" ]; then
    echo "only ${tested:-0} tests ran, at least $min were expected"
    exit 1
fi
exit $status
