#!/usr/bin/env bash
# Runs the built tests, and holds what they said over the wire to the schemas.
#
#   .ci/test.sh [<filter>] [<folder for JUnit reports>]
#
# Without a filter they run in three lanes side by side, which wait for leases and servers most of the time; each lane goes
# from test to test.
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
    lanes=()
    lane() { # <name> <arguments>
        run "$@" >".build/tests-$1.log" 2>&1 &
        lanes+=("$1:$!")
    }
    lane faults --filter '^FaultTests\.[A-R]'
    lane system --filter '^IntegrationTests\.'
    run others --skip '^(IntegrationTests\.|FaultTests\.[A-R])' || status=1
    for beside in "${lanes[@]}"; do
        wait "${beside#*:}" || status=1
        cat ".build/tests-${beside%:*}.log"
    done
fi
"$PYTHON" Tests/python/validate_traffic.py "$CARILLON_RECORD_TRAFFIC" $([ -n "$filter" ] || echo --complete) || status=1
exit "$status"
