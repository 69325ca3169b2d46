#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: Debian packages, and a virtual environment with the
# Python programs that the tests ask for a second opinion. Says what to install where it may not. Under 1 s when all
# is there.
#   bootstrap.sh          all of it
#   bootstrap.sh build    what building and trying it out need: no tool of the tests
#   bootstrap.sh deb      the same, and what packs it
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(libical-dev libnats-dev libpcre2-dev libpq-dev nats-server postgresql tzdata pkg-config make)
case ${1:-} in
build) ;;
deb) packages+=(dpkg-dev) ;;
*) packages+=(json-schema-test-suite openssl python3-venv tmux) ;;
esac
requirements=(nats-py==2.16.0 croniter==7.0.0 cronsim==2.8 nkeys==0.2.1 python-dateutil==4.0.0
    jsonschema==4.26.0 PyYAML==6.0.3 python-crontab==3.4.0 openapi-spec-validator==0.9.0 schemathesis==4.32.5 opentelemetry-proto==1.45.2)

say() { printf 'bootstrap: %s\n' "$*" >&2; }

missing_packages() {
    local installed
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
    local package
    for package in "${packages[@]}"; do
        grep -qx "installed $package" <<<"$installed" || printf '%s\n' "$package"
    done
}

# Debian starts a server when it installs one. Ours are private and started by whoever needs them, so for the time of
# the installation, and only where nobody has a policy already, the system's hook says no.
install_packages() {
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    say "apt-get install $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if ! command -v swift >/dev/null; then
    say "swift is missing: install Swift 6.2 or later from https://swift.org/install"
    exit 1
fi

if command -v dpkg-query >/dev/null; then
    mapfile -t missing < <(missing_packages)
    if [ "${#missing[@]}" -gt 0 ]; then
        if [ "$(id -u)" -ne 0 ]; then
            say "missing; run: sudo apt-get install ${missing[*]}"
            exit 1
        fi
        install_packages "${missing[@]}"
    fi
else
    say "no dpkg here: install the like of ${packages[*]} yourself"
fi

if [ $# -gt 0 ]; then exit 0; fi

# Prometheus' own programs, for the tests of metrics and alerts. Unpacked, not installed: the package would set up a service
# and bring 300 MB.
if command -v apt-get >/dev/null && ! command -v promtool >/dev/null && [ ! -x .build/prometheus/usr/bin/promtool ]; then
    say "prometheus, unpacked into .build"
    (
        mkdir -p .build/prometheus.new
        cd .build/prometheus.new
        apt-get download -qq prometheus 2>/dev/null || { apt-get update -qq && apt-get download -qq prometheus; }
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin
        rm prometheus_*.deb
    )
    rm -rf .build/prometheus
    mv .build/prometheus.new .build/prometheus
fi

# The stamp is written last: an environment that was cut short is made again.
stamp=.venv/requirements
if [ "$(cat "$stamp" 2>/dev/null)" != "${requirements[*]}" ]; then
    say "python: ${requirements[*]}"
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check "${requirements[@]}"
    printf '%s\n' "${requirements[*]}" >"$stamp"
fi
