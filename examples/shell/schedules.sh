#!/usr/bin/env bash
# Makes a schedule of each type in the namespace demo, asks about some, and takes away what goes on.
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
create '{"name":"shell-template","schedule_type":"immediate","target_command":"demo.report","delivery":"core","payload_template":true,"command_payload":{"day":"{{scheduled_for_date}}","key":"{{execution_id}}"}}'
create '{"name":"shell-now","schedule_type":"immediate","target_command":"demo.now","delivery":"core"}'

"$request" "$commands.preview" '{"name":"shell-cron","count":3}'
# Applied once more, it changes nothing: "outcome":"unchanged".
"$request" "$commands.put" '{"name":"shell-interval","schedule_type":"interval","interval_seconds":1,"target_command":"demo.tick","delivery":"core","command_payload":{"from":"shell"}}'
"$request" "$commands.explain" '{"name":"shell-now","at":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'"}'
# Submitted: kept until it is carried out, whether a scheduler runs now or not. JetStream acknowledges it, and an event
# on scheduler.evt.demo.schedule.command_accepted.> says what became of it.
kept=$("$request" scheduler.submit.demo.schedule.trigger '{"name":"shell-now"}')
case $kept in
*'"stream":'*'"seq":'*) printf 'submitted %s\n' "$kept" ;;
*) printf 'not kept: %s\n' "$kept" >&2 && exit 1 ;;
esac
"$request" "$commands.pause" '{"name":"shell-interval","reason":"only an example"}'
"$request" "$commands.bulk" '{"operation":"delete","names":["shell-cron","shell-interval"]}'
echo done
