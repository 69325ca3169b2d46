#!/usr/bin/env bash
# Moving over in shadow, against `carillon dev` (docs/moving.md).
#   NATS_URL=nats://127.0.0.1:4222 examples/shell/moving.sh
set -euo pipefail
carillon=${CARILLON:-carillon}
request="$(dirname "$0")/request.sh"
file="$(dirname "$0")/../moving.yaml"
commands=scheduler.cmd.demo

# 1. Beside the old one: everything but the publish.
"$carillon" apply -f "$file" --owner moving
"$request" "$commands.schedule.trigger" '{"name":"backup"}'

# 2. What would have been sent, and how late; as often as it takes until that is recorded.
for _ in {1..50}; do
    shadows=$("$request" "$commands.execution.list" '{"schedule_name":"backup","status":"skipped"}')
    case $shadows in *'"reason":"shadow"'*) break ;; esac
    sleep 0.1
done
grep -o '"scheduled_for":"[^"]*' <<< "$shadows" | cut -d'"' -f4 | cut -c1-16 | sort
case $shadows in *'"reason":"shadow"'*'"lateness_ms"'*) ;; *) echo "no shadow was recorded" >&2 && exit 1 ;; esac
"$request" "$commands.schedule.stats" '{"name":"backup"}'

# 3. The old one is stopped: one command for one schedule, or the file without the word for all of them.
"$request" "$commands.schedule.update" '{"name":"backup","shadow":false,"reason":"the crontab is empty"}'
sed '/^ *shadow: true$/d' "$file" | "$carillon" apply -f - --owner moving

# And away with them again: this is only an example.
printf 'schedules: []\n' | "$carillon" apply -f - --namespace demo --owner moving --prune
echo done
