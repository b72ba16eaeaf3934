#!/bin/sh
# Runs real clients and SDKs through aictld with the harness in ../shared/clients; `./dev clients`.
#
#   run.sh [CLIENT...]     default: claude qwen opencode qwen-anthropic opencode-anthropic sdk
#   SCENARIOS="mock-..."   what the scripted provider does (default: mock-tools mock-parallel mock-frag)
#   CLIENTS_DIR=DIR        where the clients are installed and run (default: ~/.cache/aictl-clients)
#
# The harness' scripted provider stands behind aictld twice: as a provider of type openai and as one
# of type anthropic, since nothing is converted yet and each client needs one of its own dialect.
set -eu

cd "$(dirname "$0")/../.."
. tests/support/sandbox.sh

harness=${CLIENTS_HARNESS:-../shared/clients}
if [ ! -e "$harness/run.sh" ]; then
    echo "SKIP: the harness $harness is not there"
    exit 77
fi
lab=${CLIENTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/aictl-clients}
build=${BUILD:-$PWD/build/release}
scenarios=${SCENARIOS:-mock-tools mock-parallel mock-frag}
[ $# -gt 0 ] || set -- claude qwen opencode qwen-anthropic opencode-anthropic sdk

# What `sdk` runs: cases by the beginning of their names. A case that is not finished (README) counts
# as skipped for as long as it fails.
sdk_cases="openai.models openai.chat anthropic ai-sdk"
unfinished="anthropic.count_tokens"

install_clients() { # CLIENT...
    groups=node
    for client in "$@"; do
        group=${client%%-*}
        case " $groups " in *" $group "*) ;; *) groups="$groups $group" ;; esac
    done
    missing=
    for group in $groups; do
        [ -d "$lab/pkg/$group/node_modules" ] || missing="$missing $group"
    done
    [ -n "$missing" ] || return 0
    echo "Installing$missing into $lab ..."
    # shellcheck disable=SC2086
    LAB=$lab "$lab/harness/setup.sh" $missing
}

start_provider() {
    port=$(free_port)
    mock=http://127.0.0.1:$port
    PATH=$lab/pkg/node/node_modules/node/bin:$PATH \
        node "$lab/harness/mock.mjs" --port "$port" >"$lab/mock.log" 2>&1 &
    sandbox_started $!
    until curl -fsS --noproxy '*' "$mock/v1/models" >"$lab/models.json" 2>/dev/null; do
        sleep 0.1
    done
}

# Both providers have every scenario: the client's dialect decides which of them is asked.
write_config() {
    /usr/bin/python3 - "$lab/models.json" "$mock" >"$sandbox_config" <<'PYTHON'
import json
import sys

models = [row["id"] for row in json.load(open(sys.argv[1]))["data"]]
models = list(dict.fromkeys([*models, "mock-429", "mock-529", "mock-500", "mock-json", "mock-length"]))
rows = [
    {"name": "mock-chat", "type": "openai", "baseURL": sys.argv[2] + "/v1", "models": models},
    {"name": "mock-claude", "type": "anthropic", "baseURL": sys.argv[2], "models": models},
]
config = {
    "providers": rows,
    "defaultModel": "mock-tools",
    "listen": ["127.0.0.1:0"],
    "globalSettings": {"maxRetries": 0},
}
json.dump(config, sys.stdout, indent=2)
PYTHON
    chmod 600 "$sandbox_config"
}

results=$(mktemp)
trap 'sandbox_close; rm -f "$results"' EXIT
mkdir -p "$lab/harness"
cp "$harness"/* "$lab/harness/"
install_clients "$@"
sandbox_open "$lab"
start_provider
write_config
sandbox_daemon "$build"
url=$(aictl status --json | first_url)
token=$(aictl token)

programs=
for client in "$@"; do
    [ "$client" = sdk ] || programs="$programs $client"
done
if [ -n "$programs" ]; then
    # shellcheck disable=SC2086
    LAB=$lab MOCK=$mock MODEL="$scenarios" "$lab/harness/run.sh" "$url" "$token" $programs |
        tee -a "$results" || :
fi
case " $* " in
*" sdk "*)
    # shellcheck disable=SC2086
    PATH=$lab/pkg/node/node_modules/node/bin:$PATH MOCK=$mock \
        node "$lab/harness/sdk.mjs" "$url" "$token" $sdk_cases | grep -v '^sdk: ' |
        sed "s/^\($unfinished\): FAIL.*/\1: SKIP not finished/" | tee -a "$results" || :
    ;;
esac

aictl status --recent | tail -n 3
passed=$(grep -c ': PASS' "$results" || :)
failed=$(grep -c ': FAIL' "$results" || :)
skipped=$(grep -c ': SKIP' "$results" || :)
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
