#!/usr/bin/env bash
# The format, and the rules that neither compiler nor formatter knows. Each breach is a line; any breach fails.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
breach() { printf 'lint: %s\n%s\n' "$1" "$2"; failed=1; }

# refuse <why> <extended regular expression> <path>...: whole-line comments may say what code may not.
refuse() {
    local why=$1 pattern=$2 found
    shift 2
    found=$(grep -rnE --include='*.swift' -- "$pattern" "$@" | grep -vE '^[^:]+:[0-9]+: *//' || true)
    if [ -n "$found" ]; then breach "$why" "$found"; fi
}

swift format lint --strict -r Package.swift Sources Tests || failed=1

refuse "the time comes from an injected clock" '(^|[^A-Za-z0-9_.])Date\(\)' Sources
refuse "work is a child of the service group" 'Task\.detached' Sources Tests
refuse "errors are thrown, not trapped" 'try!|fatalError\(| as! ' Sources
mapfile -t outside < <(find Sources -mindepth 1 -maxdepth 1 -type d ! -name SchedulerStore ! -name Migrations ! -name CarillonBench)
# At the beginning of a literal, or of a line, where a literal of several lines has it.
refuse "SQL stands in SchedulerStore and Migrations" '("|^ *)(SELECT |INSERT INTO |UPDATE [a-z_.]+ SET |DELETE FROM |WITH [a-z_]+ AS )' \
    "${outside[@]}"

# A function that is named like a test and lost its @Test runs never. The attribute may stand on lines above, with its
# arguments; it is used up by the next func.
lost=$(find Tests -name '*.swift' -exec awk '
    FNR == 1 { marked = 0 }
    /@Test/ { marked = 1 }
    /func test[A-Z]/ { if (!marked) print FILENAME ":" FNR ": " $0 }
    /(^|[^A-Za-z])func / { marked = 0 }
' {} +)
if [ -n "$lost" ]; then breach "a test has its @Test" "$lost"; fi

exit "$failed"
