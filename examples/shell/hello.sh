#!/usr/bin/env bash
# Makes a schedule, waits until it has fired twice, and takes it away. Needs nothing but bash.
#   NATS_URL=nats://127.0.0.1:4222 examples/shell/hello.sh
set -euo pipefail

# ask <command> <body>: one request; an error in the reply ends the script.
ask() {
    local reply
    reply=$("$(dirname "$0")/request.sh" "scheduler.cmd.demo.$1" "$2")
    case $reply in
    *'"error":'*) printf '%s\n' "$reply" >&2 && exit 1 ;;
    *) printf '%s\n' "$reply" ;;
    esac
}

ask schedule.create '{"name":"shell-hello","schedule_type":"interval","interval_seconds":0.5,"target_command":"demo.shell","delivery":"core","command_payload":{"from":"shell"}}'
for _ in $(seq 50); do
    found=$(ask execution.list '{"schedule_name":"shell-hello","status":"delivered"}')
    if [ "$(grep -o '"status":"delivered"' <<<"$found" | wc -l)" -ge 2 ]; then break; fi
    sleep 0.1
done
ask schedule.delete '{"name":"shell-hello"}'
echo done
