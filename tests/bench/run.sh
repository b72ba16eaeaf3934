#!/bin/bash
# Measures aictld against nginx with the tools in ../shared/bench; `./dev bench [OPTION...]`.
#
# "aictld" passes on; "converted" is asked for Messages in front of the same chat provider.
# Options go to its bench.sh: -r ROUNDS, -t SECONDS, -k "CASES". Only ratios of one run mean anything.
# The tools listen on fixed ports (9101 the provider, 9201 nginx); aictld takes a free one.
set -eu

cd "$(dirname "$0")/../.."
. tests/support/sandbox.sh

tools=${BENCH_TOOLS:-../shared/bench}
if [ ! -e "$tools/bench.sh" ]; then
    echo "SKIP: the tools $tools are not there"
    exit 77
fi
build=${BUILD:-$PWD/build/release}
work=$(mktemp -d)
trap 'sandbox_close; rm -rf "$work"' EXIT

# The scripted provider reads its shape from the model name: these are the names bench.sh asks for.
models="mock mock-n1 mock-n3-d4000000 mock-n200-d1000 mock-n200-d4000 mock-n50-d40000 mock-n200-d0"

write_config() {
    local row=
    for model in $models; do
        row="$row${row:+, }\"$model\""
    done
    cat >"$sandbox_config" <<JSON
{
  "providers": [
    { "name": "mock", "type": "openai", "baseURL": "http://127.0.0.1:9101/v1", "models": [$row] }
  ],
  "defaultModel": "mock",
  "listen": ["127.0.0.1:0"],
  "globalSettings": { "enableLogging": false, "connectionsMax": 4096, "connectionsPerProvider": 4096 }
}
JSON
    chmod 600 "$sandbox_config"
}

cp "$tools"/* "$work"
chmod u+w "$work"/*
for tool in mockup loadgen; do
    gcc -O2 -o "$work/$tool" "$work/$tool.c"
done
ulimit -n "$(ulimit -Hn)"
sandbox_open "$work"
write_config
sandbox_daemon "$build"
taskset -cp 1 "$sandbox_pid" >/dev/null
url=$(aictl status --json | first_url)
token=$(aictl token)

[ $# -gt 0 ] || set -- -r 3 -t 1
BENCH_TOKEN=$token "$work/bench.sh" "$@" "aictld=$sandbox_pid@$url" \
    "converted=$sandbox_pid@$url,convert" | tee "$work/result"
grep -q ' aictld ' "$work/result"
