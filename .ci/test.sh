#!/usr/bin/env bash
# Runs the built tests, and holds what they said over the wire to the schemas.
#
#   .ci/test.sh [<filter>] [<folder for JUnit reports>]
#
# Without a filter the fault tests run beside all others: they wait for leases and servers most of the time.
set -uo pipefail
cd "$(dirname "$0")/.."

filter=${1:-} reports=${2:-}
export CARILLON_RECORD_TRAFFIC=$PWD/.build/traffic
rm -rf "$CARILLON_RECORD_TRAFFIC"

# The built tests themselves, not `swift test`: two of those at once quarrel over the build's database.
tests=$("${SWIFT:-swift}" build --show-bin-path)/carillonPackageTests.xctest
run() { # <name of the report> <arguments>
    local name=$1
    shift
    "$tests" --testing-library swift-testing --no-parallel ${reports:+--xunit-output "$reports/$name.xml"} "$@"
}

status=0
if [ -n "$filter" ]; then
    run chosen --filter "$filter" || status=1
else
    faults=.build/fault-tests.log
    run faults --filter '^FaultTests\.' >"$faults" 2>&1 &
    beside=$!
    run others --skip '^FaultTests\.' || status=1
    wait "$beside" || status=1
    cat "$faults"
fi
"$PYTHON" Tests/python/validate_traffic.py "$CARILLON_RECORD_TRAFFIC" $([ -n "$filter" ] || echo --complete) || status=1
exit "$status"
