"""The requests that the `nats` command line sends, sent by nats-py: the program is not among Debian's packages.

Subjects and bodies are those of natscli 0.3: `nats micro`, `nats kv`, `nats stream` and `nats req`.
Usage: nats_command_line.py <nats url>. Any deviation ends it with a traceback and status 1.
"""
import asyncio
import json
import sys

try:
    import nats
except ImportError:
    sys.exit(3)


async def gather(nc, subject, body=b""):
    """What `nats micro` does: one request to an inbox of its own, and every reply that comes within a moment."""
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    await nc.publish(subject, body, reply=inbox)
    replies = []
    try:
        while True:
            replies.append(json.loads((await subscription.next_msg(timeout=0.5)).data))
    except asyncio.TimeoutError:
        await subscription.unsubscribe()
    return replies


async def micro(nc):
    for verb, kind in (("PING", "ping"), ("INFO", "info"), ("STATS", "stats")):
        found = {}
        # `nats micro ls`, `nats micro ping carillon`, `nats micro info carillon <id>`
        for rest in ("", ".carillon"):
            replies = await gather(nc, f"$SRV.{verb}{rest}")
            assert replies, f"$SRV.{verb}{rest}"
            for reply in replies:
                assert reply["type"] == f"io.nats.micro.v1.{kind}_response", reply
                assert reply["name"] == "carillon" and reply["id"] and reply["version"], reply
                found[reply["id"]] = reply
        for identity in found:
            assert len(await gather(nc, f"$SRV.{verb}.carillon.{identity}")) == 1, identity
        print(f"nats micro {kind}: {len(found)}")
    # `nats micro request carillon target-list`: the endpoint's subject is asked as it stands, its wildcard filled in.
    info = (await gather(nc, "$SRV.INFO.carillon"))[0]
    endpoint = next(e for e in info["endpoints"] if e["name"] == "target-list")
    reply = await request(nc, endpoint["subject"].replace("*", "python"))
    assert "targets" in reply, reply


async def request(nc, subject, body=b""):
    """`nats req`: a message with a reply subject, and the first answer."""
    return json.loads((await nc.request(subject, body, timeout=5, old_style=True)).data)


async def streams(nc):
    # `nats stream ls`, `nats stream info SCHEDULER_EVENTS`, `nats stream get SCHEDULER_EVENTS 1`, `nats stream view`
    names = await request(nc, "$JS.API.STREAM.LIST", json.dumps({"offset": 0}).encode())
    listed = {stream["config"]["name"] for stream in names["streams"]}
    assert {"SCHEDULER_EVENTS", "KV_SCHEDULER_LOCKS"} <= listed, listed
    info = await request(nc, "$JS.API.STREAM.INFO.SCHEDULER_EVENTS", b"null")
    assert info["config"]["storage"] == "file" and info["state"]["messages"] > 0, info
    first = {"seq": info["state"]["first_seq"]}
    message = await request(nc, "$JS.API.STREAM.MSG.GET.SCHEDULER_EVENTS", json.dumps(first).encode())
    assert message["message"]["subject"].startswith("scheduler.evt."), message
    config = {"ack_policy": "none", "deliver_policy": "all", "replay_policy": "instant", "inactive_threshold": 10**10}
    made = await request(
        nc, "$JS.API.CONSUMER.CREATE.SCHEDULER_EVENTS",
        json.dumps({"stream_name": "SCHEDULER_EVENTS", "config": config}).encode())
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    await nc.publish(
        f"$JS.API.CONSUMER.MSG.NEXT.SCHEDULER_EVENTS.{made['name']}", b'{"batch":3,"no_wait":true}', reply=inbox)
    event = json.loads((await subscription.next_msg(timeout=5)).data)
    assert event["specversion"] == "1.0", event
    print(f"nats stream: {len(listed)} streams, {info['state']['messages']} events")


async def locks(nc):
    # `nats kv ls SCHEDULER_LOCKS`, `nats kv get`, `nats kv watch SCHEDULER_LOCKS`
    bucket = await nc.jetstream().key_value("SCHEDULER_LOCKS")
    status = await bucket.status()
    assert status.history == 1 and status.ttl, status
    keys = await bucket.keys()
    watcher = await bucket.watchall()
    seen = {}
    # What is there comes first, then None, then what changes: a lease is renewed all the time.
    is_live = False
    while not (is_live and seen.get("renewed")):
        entry = await watcher.updates(timeout=5)
        if entry is None:
            is_live = True
        elif is_live:
            seen["renewed"] = entry.key.startswith("member.")
        else:
            seen[entry.key] = entry.value
    assert set(keys) <= set(seen), (keys, seen)
    await watcher.stop()
    print(f"nats kv: {len(keys)} keys, one renewed while watched")


async def main(url):
    nc = await nats.connect(url)
    await micro(nc)
    await streams(nc)
    await locks(nc)
    await nc.close()


asyncio.run(main(sys.argv[1]))
