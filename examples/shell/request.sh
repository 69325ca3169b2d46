#!/usr/bin/env bash
# One request to NATS and its reply, with nothing but bash: for a machine without the nats command line.
#   NATS_URL=nats://127.0.0.1:4222 examples/shell/request.sh <subject> [<body>]
set -euo pipefail
subject=$1 body=${2-}
address=${NATS_URL:-nats://127.0.0.1:4222}
address=${address#nats://}
inbox="_INBOX.request.$$.$RANDOM$RANDOM"

exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
read -r -u 3 -t 5 _  # INFO
length=$(LC_ALL=C; printf '%s' "${#body}")
printf 'CONNECT {"verbose":false}\r\nSUB %s 1\r\nPUB %s %s %s\r\n%s\r\n' \
    "$inbox" "$subject" "$inbox" "$length" "$body" >&3
while read -r -u 3 -t 5 verb _ _ size; do
    case $verb in
    MSG)
        size=${size%$'\r'}
        LC_ALL=C read -r -u 3 -t 5 -N "$size" reply
        printf '%s\n' "$reply"
        exit 0
        ;;
    PING*) printf 'PONG\r\n' >&3 ;;
    -ERR*) echo "request.sh: the server refused the request" >&2 && exit 1 ;;
    esac
done
echo "request.sh: no reply within 5 s" >&2
exit 1
