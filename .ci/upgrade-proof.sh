#!/usr/bin/env bash
# Proves what docs/upgrade.md says of an older program: goes forth, back and forth again with it and the present one, under
# load.
#
#   .ci/upgrade-proof.sh <commit>      builds the program of that commit, once, into .build/older/<commit>
#   .ci/upgrade-proof.sh <program>     takes one that was built before
#
# The present tests must be built (swift build --build-tests).
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -ne 1 ]; then
    echo "upgrade-proof: expected a commit or a program: .ci/upgrade-proof.sh <commit>" >&2
    exit 64
fi

if [ -x "$1" ] && [ -f "$1" ]; then
    older=$(realpath "$1")
else
    commit=$(git rev-parse --verify --short "$1^{commit}")
    folder=$PWD/.build/older/$commit
    older=$folder/.build/debug/carillon
    # Whole or not there: a build that was cut short is gone on with, and not begun again.
    if [ ! -d "$folder" ]; then
        rm -rf "$folder.new"
        mkdir -p "$folder.new/.build"
        git archive "$commit" | tar -x -C "$folder.new"
        # What was fetched already need not be fetched again.
        for part in checkouts repositories; do
            if [ -d ".build/$part" ]; then cp -r ".build/$part" "$folder.new/.build/"; fi
        done
        mv "$folder.new" "$folder"
    fi
    "${SWIFT:-swift}" build --package-path "$folder" --product carillon
fi
if [ ! -x "$older" ]; then
    echo "upgrade-proof: expected a program at $older" >&2
    exit 1
fi

tests=$("${SWIFT:-swift}" build --show-bin-path)/carillonPackageTests.xctest
CARILLON_OLDER_BIN=$older exec "$tests" --testing-library swift-testing --filter UpgradeTests/fromAnOlderProgramAndBack
