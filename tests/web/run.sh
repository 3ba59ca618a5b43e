#!/usr/bin/env bash
# The pages in a real browser: `pointsman demo` and Debian's Chromium, driven by playwright-core. Needs the program (built
# after `make web`, so that it holds the pages) and Node. What is missing and cannot be installed is said; then nothing is tested.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

skip() {
    echo "SKIPPED: $*"
    echo "0 passed, 0 failed"
    exit 0
}

export POINTSMAN_BIN=${POINTSMAN_BIN:-${CARGO_TARGET_DIR:-target}/debug/pointsman}
[[ -x $POINTSMAN_BIN ]] || skip "no program at $POINTSMAN_BIN (cargo build)"
command -v npm >/dev/null || skip "no npm: the pages need Node 20.19 or newer"
[[ -f src/web/dist/index.html && -d src/web/node_modules/playwright-core ]] || skip "the pages are not built (make web)"
if ! command -v chromium >/dev/null; then
    [[ $EUID == 0 ]] && command -v apt-get >/dev/null || skip "no chromium, and only root may install it (apt-get install chromium)"
    echo "installing Debian's chromium"
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } >"$log" 2>&1; then
        tail -5 "$log"
        skip "chromium could not be installed"
    fi
fi
exec node --test --test-concurrency=1 --test-reporter=./tests/web/reporter.mjs --test-reporter-destination=stdout tests/web/*.test.mjs
