#!/bin/sh
# Runs real clients and SDKs through aictld with the harness in ../shared/clients; `./dev clients`.
#
#   run.sh [CLIENT...]     default: claude qwen opencode qwen-anthropic opencode-anthropic sdk
#   PROVIDERS="..."        what the provider behind aictld speaks, one round each (default: chat messages both)
#                          chat: OpenAI chat alone; messages: Anthropic Messages alone; both: each client
#                          finds its own dialect, and nothing is converted
#   SCENARIOS="mock-..."   what the scripted provider does (default: all that the clients are made for)
#   CLIENTS_DIR=DIR        where the clients are installed and run (default: ~/.cache/aictl-clients)
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
providers=${PROVIDERS:-chat messages both}
all_scenarios="mock-tools mock-tools2 mock-parallel mock-think mock-readimg mock-frag mock-quirk"
[ $# -gt 0 ] || set -- claude qwen opencode qwen-anthropic opencode-anthropic sdk

# What `sdk` runs: cases by the beginning of their names.
sdk_cases="openai.models openai.chat anthropic ai-sdk"

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

start_provider() { # chat, messages or both
    port=$(free_port)
    mock=http://127.0.0.1:$port
    only=
    [ "$1" = both ] || only="--only $1"
    # shellcheck disable=SC2086
    PATH=$lab/pkg/node/node_modules/node/bin:$PATH \
        node "$lab/harness/mock.mjs" --port "$port" $only >"$lab/mock.log" 2>&1 &
    sandbox_started $!
    until curl -fsS --noproxy '*' "$mock/v1/models" >"$lab/models.json" 2>/dev/null; do
        sleep 0.1
    done
}

write_config() { # chat, messages or both
    /usr/bin/python3 - "$lab/models.json" "$mock" "$1" >"$sandbox_config" <<'PYTHON'
import json
import sys

models_file, url, spoken = sys.argv[1:]
models = [row["id"] for row in json.load(open(models_file))["data"]]
models = list(dict.fromkeys([*models, "mock-429", "mock-529", "mock-500", "mock-json", "mock-length"]))
rows = {
    "chat": {"name": "mock-chat", "type": "openai", "baseURL": url + "/v1", "models": models},
    "messages": {"name": "mock-claude", "type": "anthropic", "baseURL": url, "models": models},
}
config = {
    "providers": [row for name, row in rows.items() if spoken in (name, "both")],
    "defaultModel": "mock-tools",
    "listen": ["127.0.0.1:0"],
    "globalSettings": {"maxRetries": 0},
}
json.dump(config, sys.stdout, indent=2)
PYTHON
    chmod 600 "$sandbox_config"
}

run_scenarios() { # SCENARIOS CLIENT...
    models=$1
    shift
    [ $# -gt 0 ] || return 0
    LAB=$lab MOCK=$mock MODEL="$models" "$lab/harness/run.sh" "$url" "$token" "$@" |
        sed "s/^/$spoken /" | tee -a "$results" || :
}

run_sdk() {
    # shellcheck disable=SC2086
    PATH=$lab/pkg/node/node_modules/node/bin:$PATH MOCK=$mock \
        node "$lab/harness/sdk.mjs" "$url" "$token" $sdk_cases | grep -v '^sdk: ' |
        sed "s/^/$spoken /" | tee -a "$results" || :
}

run_round() { # chat, messages or both; CLIENT...
    spoken=$1
    shift
    sandbox_open "$lab"
    start_provider "$spoken"
    write_config "$spoken"
    sandbox_daemon "$build"
    url=$(aictl status --json | first_url)
    token=$(aictl token)
    programs=
    for client in "$@"; do
        [ "$client" = sdk ] || programs="$programs $client"
    done
    # shellcheck disable=SC2086
    run_scenarios "${SCENARIOS:-$all_scenarios}" $programs
    case " $* " in *" claude "*) [ -n "${SCENARIOS:-}" ] || run_scenarios mock-toolsearch claude ;; esac
    case " $* " in *" sdk "*) run_sdk ;; esac
    aictl status --recent | tail -n 3
    sandbox_close
}

results=$(mktemp)
trap 'sandbox_close; rm -f "$results"' EXIT
mkdir -p "$lab/harness"
cp "$harness"/* "$lab/harness/"
install_clients "$@"
for provider in $providers; do
    run_round "$provider" "$@"
done
passed=$(grep -c ': PASS' "$results" || :)
failed=$(grep -c ': FAIL' "$results" || :)
skipped=$(grep -c ': SKIP' "$results" || :)
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
