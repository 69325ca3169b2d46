"""Makes a schedule of each type, receives what is fired, and reads the events. Needs nats-py.

NATS_URL=nats://127.0.0.1:4222 python3 examples/python/schedules.py
"""

import asyncio
import json
import os
from datetime import datetime, timedelta, timezone

import nats

COMMANDS = "scheduler.cmd.demo.schedule"


async def ask(client, command, **body):
    """One request; its reply as a dictionary. An error in the reply is raised."""
    message = await client.request(f"{COMMANDS}.{command}", json.dumps(body).encode(), timeout=5)
    reply = json.loads(message.data)
    if "error" in reply:
        raise RuntimeError(reply["error"])
    return reply


async def main():
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    wanted = {"demo.py.cron", "demo.py.interval", "demo.py.once", "demo.py.now"}
    arrived = asyncio.Event()

    async def on_command(message):
        headers = message.headers
        print(message.subject, message.data.decode(), headers["Scheduler-Execution-Id"], headers["Scheduler-Trigger"])
        wanted.discard(message.subject)
        if not wanted:
            arrived.set()

    await client.subscribe("demo.py.>", cb=on_command)
    await client.flush()

    soon = (datetime.now(timezone.utc) + timedelta(seconds=2)).isoformat().replace("+00:00", "Z")
    common = {"delivery": "core", "command_payload": {"from": "python"}}
    await ask(client, "create", name="py-cron", schedule_type="cron", cron_expression="* * * * * *",
              target_command="demo.py.cron", **common)
    await ask(client, "create", name="py-interval", schedule_type="interval", interval_seconds=0.5,
              target_command="demo.py.interval", **common)
    await ask(client, "create", name="py-once", schedule_type="once", run_at=soon,
              target_command="demo.py.once", **common)
    await ask(client, "create", name="py-now", schedule_type="immediate",
              target_command="demo.py.now", **common)
    await asyncio.wait_for(arrived.wait(), 10)

    for name in ("py-cron", "py-interval"):
        await ask(client, "delete", name=name)

    # The events stand in a stream: a consumer misses none, however late it comes.
    events = await client.jetstream().pull_subscribe("scheduler.evt.demo.execution.delivered.*", stream="SCHEDULER_EVENTS")
    for message in await events.fetch(4, timeout=5):
        event = json.loads(message.data)
        print(event["type"], event["data"]["schedule_name"], event["data"]["lateness_ms"])
    await client.close()
    print("done")


asyncio.run(main())
