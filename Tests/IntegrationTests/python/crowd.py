"""Many clients at once, each with a connection of its own: nats-py, 64 of them.

Usage: crowd.py <nats url> <limit>. The namespace 'crowd' may have <limit> schedules. Any deviation ends it with a
traceback and status 1.
"""
import asyncio
import json
import sys

try:
    import nats
except ImportError:
    sys.exit(3)

CLIENTS = 64
EACH = 3
FAR = '"schedule_type":"interval","interval_seconds":3600,"target_command":"demo.crowd","delivery":"core"'


async def request(client, body):
    return (await client.request("scheduler.cmd.crowd.schedule.create", body.encode(), timeout=20)).data


async def at_the_limit(clients, limit):
    """Parallel creates end at exactly the limit."""
    replies = await asyncio.gather(
        *(request(client, '{"name":"n%d-%d",%s}' % (n, i, FAR)) for n, client in enumerate(clients) for i in range(EACH)))
    errors = [json.loads(reply).get("error", {}).get("err_code") for reply in replies]
    assert errors.count(None) == limit, errors.count(None)
    assert errors.count(40403) == CLIENTS * EACH - limit, set(errors)


async def one_request(clients):
    """The same request_id a hundred times at once: one schedule, a hundred equal replies."""
    body = '{"name":"once","request_id":"r-1",%s}' % FAR
    replies = await asyncio.gather(*(request(clients[i % CLIENTS], body) for i in range(100)))
    assert len(set(replies)) == 1, set(replies)
    assert json.loads(replies[0])["schedule"]["name"] == "once", replies[0]


async def main(url, limit):
    clients = [await nats.connect(url) for _ in range(CLIENTS)]
    await one_request(clients)
    await at_the_limit(clients, limit - 1)
    for client in clients:
        await client.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
