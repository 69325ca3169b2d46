#!/usr/bin/env bash
# Makes what compose.yaml wants and nobody else should have: docker/.env with passwords, and docker/carillon/tokens.yaml
# with the digest of a token that may do everything over HTTP (CARILLON_TOKEN in .env).
set -euo pipefail
cd "$(dirname "$0")"
if [ -e .env ]; then
    echo "make-env.sh: .env is there already; data that was made with it needs it" >&2
    exit 1
fi
umask 077
# A letter first: nats-server reads what a variable holds as it reads a value, and 9e1 would be a number.
random() { echo "p$(openssl rand -hex 24)"; }
token=$(random)
{
    for name in NATS_SCHEDULER NATS_BILLING NATS_BILLING_WORKER NATS_AUDITOR NATS_ADMIN NATS_SYSTEM \
        POSTGRES POSTGRES_MIGRATE POSTGRES_SERVE POSTGRES_REPORT GRAFANA; do
        echo "${name}_PASSWORD=$(random)"
    done
    echo "CARILLON_TOKEN=$token"
} > .env.new
# Read in the container by a user that this machine does not have. A digest of a random token tells nobody the token.
cat > carillon/tokens.yaml <<YAML
tokens:
  - name: compose
    sha256: $(printf %s "$token" | openssl dgst -sha256 -r | cut -d ' ' -f 1)
    namespaces: ["*"]
    admin: true
YAML
chmod 644 carillon/tokens.yaml
mv .env.new .env
echo "made docker/.env and docker/carillon/tokens.yaml"
