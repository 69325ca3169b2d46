#!/usr/bin/env bash
# install-proof-service.sh <tree> <folder>: part of install-proof.sh. Serves in the tree as the package's user, against a
# nats-server with docker/nats and a PostgreSQL with docker/postgres/roles.sh, on a loopback of its own; makes a schedule as
# a team's backend, and sees its command come to the team's worker.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${PROOF_NETWORK:-}" ]; then exec env PROOF_NETWORK=1 unshare --net -- "$PWD/.ci/install-proof-service.sh" "$@"; fi
tree=$1 work=$2
ip link set lo up
install -d -m 755 "$work" "$work/nats"
install -d -m 700 -o postgres "$work/postgres"
binaries=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)

fail() {
    echo "install-proof: $*" >&2
    tail -n 5 "$work"/*.log >&2
    exit 1
}
# until_true <seconds> <what> <command>…
until_true() {
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "expected $what within $seconds s"
        sleep 0.1
    done
}
as_user() { chroot --userspec=carillon:carillon "$tree" /usr/bin/env -i PATH=/usr/bin:/bin "$@"; }

# The servers, each user with a password of its own.
mkdir -p "$work/env/carillon"
cp docker/make-env.sh "$work/env"
"$work/env/make-env.sh" >/dev/null
set -a
# shellcheck source=/dev/null
. "$work/env/.env"
set +a
cp docker/nats/*.conf "$work/nats"
sed -i "s|/data/jetstream|$work/jetstream|" "$work/nats/nats-server.conf"
nats-server -c "$work/nats/nats-server.conf" >"$work/nats.log" 2>&1 &
nats=$!
as_postgres() { setpriv --reuid postgres --regid postgres --clear-groups -- "$@"; }
as_postgres "$binaries/initdb" -D "$work/postgres/data" --auth-local=trust --auth-host=scram-sha-256 >"$work/postgres.log" 2>&1
setpriv --reuid postgres --regid postgres --clear-groups -- "$binaries/postgres" -D "$work/postgres/data" -k "$work/postgres" -c listen_addresses=127.0.0.1 >>"$work/postgres.log" 2>&1 &
postgres=$!
trap '{ kill $nats $postgres; wait; } 2>/dev/null || true' EXIT
until_true 20 "PostgreSQL" as_postgres "$binaries/pg_isready" -q -h 127.0.0.1
as_postgres env PGHOST="$work/postgres" createdb carillon
as_postgres env PGHOST="$work/postgres" POSTGRES_USER=postgres POSTGRES_DB=carillon docker/postgres/roles.sh
until_true 20 "nats-server" curl -sf http://127.0.0.1:8222/healthz

# Settings as an admin writes them, and as systemd hands them on: the user has a copy of a file that is root's.
cp docker/carillon/targets.yaml "$tree/etc/carillon/targets.yaml"
cat "$work/env/carillon/tokens.yaml" >"$tree/etc/carillon/tokens.yaml"
cat >"$tree/etc/carillon/migrate.conf" <<CONF
DATABASE_URL=postgres://carillon_migrate:$POSTGRES_MIGRATE_PASSWORD@127.0.0.1/carillon
CONF
conf=$tree/etc/carillon/carillon.conf
sed -i -e "s|^DATABASE_URL=.*|DATABASE_URL=postgres://carillon_serve:$POSTGRES_SERVE_PASSWORD@127.0.0.1/carillon|" \
    -e "s|^#NATS_USER=.*|NATS_USER=scheduler|" -e "s|^#NATS_PASSWORD=.*|NATS_PASSWORD=$NATS_SCHEDULER_PASSWORD|" \
    -e "s|^#API_TOKENS_FILE=|API_TOKENS_FILE=|" -e "s|^#API_HOST=|API_HOST=|" "$conf"
credentials=/run/credentials/carillon.service
mkdir -p "$tree$credentials"
cp "$conf" "$tree$credentials/carillon.conf"
chroot "$tree" chown -R carillon:carillon "$credentials"
as_user cat /etc/carillon/carillon.conf 2>/dev/null && fail "the package's user reads root's settings"

chroot "$tree" carillon migrate up --config /etc/carillon/migrate.conf >"$work/migrate.log" 2>&1 || fail "expected to migrate"
if grep '^roles:' "$work/migrate.log"; then fail "expected roles to be granted"; fi
# Not by a function, which would be a shell between the two: this process is the service.
chroot --userspec=carillon:carillon "$tree" /usr/bin/env -i PATH=/usr/bin:/bin carillon serve --config "$credentials/carillon.conf" \
    2>"$work/carillon.log" &
service=$!
trap '{ kill -KILL $service; kill $nats $postgres; wait; } 2>/dev/null || true' EXIT
# As the image asks, and as the compose file does.
healthy() { as_user carillon healthcheck --config "$credentials/carillon.conf" "$@"; }
until_true 30 "to be alive" healthy --live
until_true 30 "to be ready" healthy
echo "       ready: $(curl -s http://127.0.0.1:8008/health); the service runs as $(ps -o uid= -p $service | tr -d " "), $(chroot "$tree" id carillon)"

# A worker of the team, with nothing but bash. After the PONG its subscription stands.
exec 5<>/dev/tcp/127.0.0.1/4222
read -r -t 5 -u 5 _
printf 'CONNECT {"verbose":false,"headers":true,"lang":"bash","version":"1","user":"billing-worker","pass":"%s"}\r\nSUB cmd.billing.> 1\r\nPING\r\n' \
    "$NATS_BILLING_WORKER_PASSWORD" >&5
# line: the next one that is no PING.
line() {
    while read -r -t 10 -u 5 "$@"; do
        [ "${!1}" = $'PING\r' ] || return 0
        printf 'PONG\r\n' >&5
    done
    fail "expected the server to say something within 10 s"
}
answer='' verb='' subject='' size=''
line answer
[ "$answer" = $'PONG\r' ] || fail "expected a worker to be let in, got $answer"

cat >"$tree/tmp/tick.yaml" <<'YAML'
namespace: billing
schedules:
  - {name: tick, schedule_type: interval, interval_seconds: 1, target_command: cmd.billing.tick, delivery: core, command_payload: {hello: world}}
YAML
as_user NATS_USER=billing NATS_PASSWORD="$NATS_BILLING_PASSWORD" NATS_INBOX_PREFIX=_INBOX.billing \
    carillon apply -f /tmp/tick.yaml >"$work/apply.log" 2>&1 || fail "expected the schedule to be made"
for _ in 1 2 3; do
    line verb subject _ _ size
    [ "$verb" = HMSG ] || fail "expected a message with headers, got $verb"
    LC_ALL=C read -r -t 5 -u 5 -N "${size%$'\r'}" message
    read -r -t 5 -u 5 _
    echo "       fired: $subject ${message##*$'\r\n'} $(grep -ao 'Scheduler-Execution-Id: [0-9a-f-]*' <<<"$message")"
done
exec 5>&-

delivered() {
    curl -sf -H "Authorization: Bearer $CARILLON_TOKEN" -H 'Scheduler-Namespace: billing' http://127.0.0.1:8008/api/v1/executions | grep -q '"status":"delivered"'
}
until_true 10 "executions in the ledger that were delivered" delivered
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8008/api/v1/executions)" = 401 ] || fail "expected 401 without a token"
chroot "$tree" /usr/bin/env NATS_USER=admin NATS_PASSWORD="$NATS_ADMIN_PASSWORD" NATS_INBOX_PREFIX=_INBOX.admin carillon verify \
    >"$work/verify.log" 2>&1 || fail "expected the ledger to be proved"

kill -TERM $service
begun=$(date +%s%N)
status=0
wait $service || status=$?
[ $status = 0 ] || fail "expected a good end, got $status"
echo "       ended in $((($(date +%s%N) - begun) / 1000000)) ms, exit code 0"
answer=0
healthy --live >"$work/healthcheck.log" 2>&1 || answer=$?
[ $answer = 1 ] || fail "expected exit code 1 from a health check of what has ended, got $answer"
if grep -E '"level":"(error|critical)"' "$work/carillon.log"; then fail "expected no error in the log"; fi
rm -rf "$tree/run/credentials" "$tree/tmp/tick.yaml"
