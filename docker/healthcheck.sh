#!/bin/bash
# healthcheck <path>: succeeds where the instance in this container answers 200 on it. With bash alone: the image has no
# program that speaks HTTP.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/${API_PORT:-8008}"
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "${1:-/ready}" >&3
read -r -t 4 _ status _ <&3
[ "$status" = 200 ]
