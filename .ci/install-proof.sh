#!/usr/bin/env bash
# install-proof.sh [<package>]: proves that the package installs in a bare Debian, serves there, and leaves nothing behind.
#   make prove-install          the same, of the package in .build/deb
#   SUITE=bookworm MIRROR=…     which Debian, from where
# A tree is made with debootstrap and kept as an archive for the next time; the package goes in with what it depends on, and
# nothing else. Then as on a server: its own user, least privilege on NATS and in PostgreSQL, a schedule, a command that
# comes; under systemd too, with the lines of docs/install.md. Then it is purged. Needs root, debootstrap and the servers
# that bootstrap.sh installs. About 5 minutes, so it is no part of CI.
set -euo pipefail
cd "$(dirname "$0")/.."

# In namespaces of its own: mounts and processes end with it, however it ends.
if [ -z "${PROOF_INSIDE:-}" ]; then
    [ "$(id -u)" = 0 ] || { echo "install-proof.sh: expected root, for a chroot" >&2 && exit 1; }
    for program in debootstrap curl ip nats-server; do
        command -v $program >/dev/null || { echo "install-proof.sh: missing; run: apt-get install debootstrap curl iproute2 nats-server postgresql" >&2 && exit 1; }
    done
    exec env PROOF_INSIDE=1 unshare --mount --pid --fork --kill-child=KILL --mount-proc --propagation private -- "$PWD/.ci/install-proof.sh" "$@"
fi

suite=${SUITE:-bookworm}
mirror=${MIRROR:-http://deb.debian.org/debian}
packages=(.build/deb/carillon_*.deb)
package=$(realpath "${1:-${packages[-1]}}")
[ -f "$package" ] || { echo "install-proof.sh: expected a package, found none at $package; run: make deb" >&2 && exit 1; }
kept=$PWD/.build/install-proof/$suite.tar
work=$(mktemp -d)
chmod 755 "$work"
tree=$work/tree
failed=1

finish() {
    umount "$tree/proc" 2>/dev/null || true
    # One file system: what is still mounted below is never gone into.
    rm -rf --one-file-system "$work"
    if [ $failed = 1 ]; then echo "install-proof: FAILED"; fi
}
trap finish EXIT

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
inside() { chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
fail() { echo "install-proof: $*" >&2; exit 1; }
# Each file, folder and link, but for what apt and dpkg keep for themselves.
files() { (cd "$tree" && find . -xdev \( -path ./proc -o -path ./run -o -path ./tmp -o -path './var/lib/apt' -o -path './var/lib/dpkg' -o -path './var/cache' \
    -o -path './var/log' -o -path './etc/*-' \) -prune -o -print | sort); }
megabytes() { du -xsm --exclude="$tree/proc" --exclude="$tree/tmp" --exclude="$tree/var/cache" --exclude="$tree/var/lib/apt" "$tree" | cut -f 1; }
accounts() { (cd "$tree/etc" && sort passwd group); }

# The bare tree.
mkdir -p "$tree" "$(dirname "$kept")"
if [ -f "$kept" ]; then
    tar -xf "$kept" -C "$tree"
    say "bare $suite, from $kept"
else
    debootstrap --variant=minbase "$suite" "$tree" "$mirror" >"$work/debootstrap.log" 2>&1 || { tail -20 "$work/debootstrap.log"; exit 1; }
    rm -rf "$tree"/var/cache/apt/archives/*.deb
    tar -cf "$kept.new" -C "$tree" . && mv "$kept.new" "$kept"
    say "bare $suite, made by debootstrap"
fi
cp /etc/resolv.conf "$tree/etc/resolv.conf"
# Nothing is started by its installation in a chroot.
printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
chmod 755 "$tree/usr/sbin/policy-rc.d"
mount -t proc proc "$tree/proc"
inside apt-get update -qq
files >"$work/files.before"
accounts >"$work/accounts.before"
size_before=$(megabytes)

install_package() {
    # ca-certificates as in the image: for servers whose authority is a public one.
    inside apt-get install -y -qq --no-install-recommends "$@" /var/cache/package.deb >"$work/apt.log" 2>&1 || { tail -20 "$work/apt.log"; exit 1; }
}
# Its settings stay until it is purged, and then nothing does.
purge_package() {
    inside apt-get remove -y -qq carillon >/dev/null 2>&1
    [ -f "$tree/etc/carillon/carillon.conf" ] || fail "its settings went with the package"
    [ ! -e "$tree/usr/bin/carillon" ] || fail "the program stayed"
    inside apt-get purge -y -qq carillon >/dev/null 2>&1
    # What nats-server keeps is the server's: streams, and consumers by their names.
    find "$tree" -xdev -iname '*carillon*' -not -path "$tree/tmp/*" -not -path "$tree/var/log/*" -not -path "$tree/var/lib/nats/*" | grep . && fail "files are left"
    grep -F carillon "$tree"/etc/{passwd,group,shadow,gshadow} && fail "its user is left"
    true
}

# The package, with what it depends on.
cp "$package" "$tree/var/cache/package.deb"
install_package ca-certificates
size_after=$(megabytes)
say "installed $(basename "$package"), $(du -k "$package" | cut -f 1) KiB, with $(($(grep -c '^Unpacking' "$work/apt.log") - 1)) others: $size_before MB have become $size_after MB"
inside ldd /usr/bin/carillon | grep -F 'not found' && fail "a library is missing"
inside ldd /usr/bin/carillon | grep -F libswift && fail "the program needs Swift's runtime"
[ "$(inside stat -c '%a %U %G' /etc/carillon/carillon.conf)" = "600 root root" ] || fail "carillon.conf is not root's alone"
[ "$(inside stat -c '%a %U %G' /etc/carillon/tokens.yaml)" = "640 root carillon" ] || fail "tokens.yaml is not root's and the service's"
say "$(inside carillon version), next at $(inside carillon next '30 2 * * MON-FRI' --timezone Europe/Paris | head -1)"

.ci/install-proof-service.sh "$tree" "$work/service"
say "served as the package's user, and fired"

purge_package
inside apt-get autoremove --purge -y -qq ca-certificates >/dev/null 2>&1
files >"$work/files.after"
accounts >"$work/accounts.after"
comm -13 "$work/files.before" "$work/files.after" | grep . && fail "files are there that were not"
diff "$work/accounts.before" "$work/accounts.after" || fail "the users are others"
say "removed and purged: the tree is what it was"

if [ -z "${WITHOUT_SYSTEMD:-}" ]; then
    # With what docs/install.md has apt install beside it, and what its lines call.
    install_package ca-certificates systemd systemd-sysv sudo curl nats-server postgresql
    umount "$tree/proc"
    rm "$tree/usr/sbin/policy-rc.d"
    .ci/install-proof-systemd.sh "$tree" "$work/systemd"
    mount -t proc proc "$tree/proc"
    say "served under systemd, by the lines of docs/install.md, and fired"
    purge_package
    say "purged: nothing of it is left"
fi
failed=0
