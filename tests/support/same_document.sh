#!/bin/sh
# same_document.sh FILE COMMAND...: fails when FILE is not what COMMAND prints. With
# AICTL_UPDATE_DOCS=1 it writes the file instead.
file=$1
shift
printed=$(mktemp) || exit 1
trap 'rm -f "$printed"' EXIT
"$@" >"$printed" || exit 1
if [ "$AICTL_UPDATE_DOCS" = 1 ]; then
    cmp -s "$printed" "$file" || cat "$printed" >"$file"
    exit
fi
if ! diff -u "$file" "$printed"; then
    echo "$file is out of date; to write it: AICTL_UPDATE_DOCS=1 ctest -R _md"
    exit 1
fi
