#!/usr/bin/env bash
# Schedules from files, and a backup, against `carillon dev` (docs/files.md).
#   NATS_URL=nats://127.0.0.1:4222 examples/shell/files.sh
set -euo pipefail
carillon=${CARILLON:-carillon}
file="$(dirname "$0")/../schedules.yaml"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$carillon" validate "$file"
# 2 says that there are changes.
"$carillon" apply -f "$file" --owner docs --dry-run || test $? = 2
"$carillon" apply -f "$file" --owner docs
"$carillon" apply -f "$file" --owner docs --prune

"$carillon" export -o "$folder/backup.ndjson"
"$carillon" import "$folder/backup.ndjson"

printf '0 3 * * * /usr/bin/backup\n' | "$carillon" import crontab - --target demo.cron --namespace demo -o "$folder/made.yaml"
"$carillon" apply -f "$folder/made.yaml" --dry-run || test $? = 2

# A file without schedules, and --prune: what the owner had goes.
printf 'schedules: []\n' | "$carillon" apply -f - --namespace demo --owner docs --prune
echo done
