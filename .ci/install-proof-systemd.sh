#!/usr/bin/env bash
# install-proof-systemd.sh <tree> <folder>: part of install-proof.sh. Boots the tree, where the package, nats-server,
# PostgreSQL and systemd are installed, as a container with a loopback of its own; carries out the lines of docs/install.md;
# and looks at what systemd made of the unit.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$(realpath "$1") work=$2

boot() {
    mount --bind "$tree" "$tree"
    cd "$tree"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=755 tmpfs dev
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    mount -t tmpfs tmpfs dev/shm
    cp -a /dev/{null,zero,full,random,urandom,tty} dev/
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    touch dev/console
    ip link set lo up
    mkdir -p mnt/old
    pivot_root . mnt/old
    umount -l /mnt/old
    # As systemd finds it on a machine: it mounts credentials in a child, and they must arrive.
    mount --make-rshared /
    exec env -i container=proof PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=null </dev/null
}
if [ -n "${PROOF_BOOT:-}" ]; then boot; fi

install -d "$work" "$work/cgroup"
fail() {
    echo "install-proof: $*" >&2
    there systemctl --failed --no-pager >&2 || true
    there journalctl --no-pager -n 30 -u carillon -u postgresql@15-main -u nats-server >&2 || true
    exit 1
}
there() { nsenter --target "$init" --all /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }

# A control group for all of it, so that systemd finds one to be the root of.
mount -t cgroup2 cgroup2 "$work/cgroup"
group=$work/cgroup/carillon-proof-$$
mkdir "$group"
finish() {
    # The first process of the namespace takes all others with it.
    [ -z "${init:-}" ] || kill -KILL "$init" 2>/dev/null || true
    wait 2>/dev/null || true
    for _ in $(seq 50); do
        find "$group" -depth -mindepth 0 -type d -exec rmdir {} + 2>/dev/null || true
        [ -d "$group" ] || break
        sleep 0.1
    done
    umount "$work/cgroup" || true
    rmdir "$tree/mnt/old" 2>/dev/null || true
}
trap finish EXIT
# What is enabled by its installation is not in a chroot whose policy is to start nothing.
chroot "$tree" systemctl --quiet enable nats-server postgresql
# Nobody is there to ask for its own name.
echo proof >"$tree/etc/hostname"
echo '127.0.1.1 proof' >>"$tree/etc/hosts"
(
    echo 0 >"$group/cgroup.procs"
    exec env PROOF_BOOT=1 unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child=KILL --propagation private -- "$PWD/.ci/install-proof-systemd.sh" "$@"
) >"$work/boot.log" 2>&1 &
outer=$!
for _ in $(seq 300); do
    init=$(pgrep -P $outer || true)
    if [ -n "$init" ] && there systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded'; then break; fi
    sleep 0.1
done
there systemctl is-system-running --wait >/dev/null 2>&1 || true
echo "       booted: $(there systemctl is-system-running || true), $(there systemctl --version | head -1)"

# The lines of the page, but for the first, which apt has carried out.
awk '/^## / { inside = /^## A Debian package/ } inside && /^```/ { if (fence++) exit; next } inside && fence' docs/install.md |
    grep -v '^sudo apt' >"$work/lines"
[ -s "$work/lines" ] || fail "expected lines in docs/install.md"
there bash -euxo pipefail -c "$(cat "$work/lines")" >"$work/lines.log" 2>&1 || { cat "$work/lines.log" >&2; fail "expected the lines of docs/install.md to succeed"; }

ready=
for _ in $(seq 300); do
    if [ "$(there curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8008/ready)" = 200 ]; then ready=1; break; fi
    sleep 0.1
done
[ -n "$ready" ] || fail "expected /ready within 30 s"
main() { there systemctl show carillon --property MainPID --value; }
pid=$(main)
there grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' "/proc/$pid/status" | tr '\n\t' '  ' | sed 's/^/       /'
echo
for line in 'CapEff:	0000000000000000' 'CapBnd:	0000000000000000' 'NoNewPrivs:	1' 'Seccomp:	2'; do
    there grep -qx "$line" "/proc/$pid/status" || fail "expected $line"
done
echo "       $(there systemd-analyze security carillon --no-pager | grep 'Overall')"

# A schedule fires, seen with bash alone.
# shellcheck disable=SC2016
there bash -c '
    exec 5<>/dev/tcp/127.0.0.1/4222
    read -r -t 5 -u 5 _
    printf "CONNECT {\"verbose\":false,\"headers\":true,\"lang\":\"bash\",\"version\":\"1\"}\r\nSUB demo.> 1\r\nPING\r\n" >&5
    read -r -t 5 -u 5 _
    carillon apply -f - --namespace demo <<<"schedules: [{name: tick, schedule_type: interval, interval_seconds: 1, target_command: demo.tick, delivery: core}]" >&2
    read -r -t 10 -u 5 verb subject _
    [ "$verb $subject" = "HMSG demo.tick" ] && echo "       fired: $subject"
' 2>"$work/fired.log" || { cat "$work/fired.log" >&2; fail "expected a schedule to fire"; }

# Killed, it comes again; an upgrade leaves it alone; removed, it has ended.
there bash -c "kill -KILL $pid"
for _ in $(seq 150); do
    again=$(main)
    if [ "$again" != 0 ] && [ "$again" != "$pid" ]; then break; fi
    sleep 0.1
done
if [ "$again" = 0 ] || [ "$again" = "$pid" ]; then fail "expected it to be started again"; fi
there dpkg --install /var/cache/package.deb >"$work/upgrade.log" 2>&1 || fail "expected to be installed over itself"
[ "$(main)" = "$again" ] || fail "expected an upgrade to leave it running"
grep -q 'goes on running' "$work/upgrade.log" || fail "expected an upgrade to say that it goes on running"
there dpkg --remove carillon >"$work/remove.log" 2>&1 || fail "expected to be removed"
[ "$(main)" = 0 ] || fail "expected it to have ended when it was removed"
there journalctl --no-pager -u carillon -o cat | tail -1 | sed 's/^/       /'
there systemctl poweroff >/dev/null 2>&1 || true
for _ in $(seq 100); do kill -0 "$outer" 2>/dev/null || break; sleep 0.1; done
