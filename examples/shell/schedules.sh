#!/usr/bin/env bash
# Makes a schedule of each type in the namespace demo, looks at one, and takes them away again.
#   NATS_URL=nats://127.0.0.1:4222 examples/shell/schedules.sh
set -euo pipefail
request="$(dirname "$0")/request.sh"
commands=scheduler.cmd.demo.schedule

create() {
    local reply
    reply=$("$request" "$commands.create" "$1")
    case $reply in
    *'"error":'*) printf 'refused: %s\n' "$reply" >&2 && exit 1 ;;
    *) printf 'created %s\n' "$1" ;;
    esac
}

create '{"name":"shell-cron","schedule_type":"cron","cron_expression":"0 9 * * MON-FRI","timezone":"Europe/Paris","target_command":"demo.report","delivery":"core"}'
create '{"name":"shell-interval","schedule_type":"interval","interval_seconds":1,"target_command":"demo.tick","delivery":"core","command_payload":{"from":"shell"}}'
create '{"name":"shell-once","schedule_type":"once","run_at":"'"$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)"'","target_command":"demo.remind","delivery":"core"}'
create '{"name":"shell-now","schedule_type":"immediate","target_command":"demo.now","delivery":"core"}'

"$request" "$commands.preview" '{"name":"shell-cron","count":3}'
"$request" "$commands.pause" '{"name":"shell-interval","reason":"only an example"}'
for name in shell-cron shell-interval; do
    "$request" "$commands.delete" "{\"name\":\"$name\"}" >/dev/null
done
echo done
