"""Makes a schedule, receives what it fires twice, and takes it away. Needs nats-py.

NATS_URL=nats://127.0.0.1:4222 python3 examples/python/hello.py
"""

import asyncio
import json
import os

import nats


async def ask(client, command, **body):
    """One request; its reply as a dictionary. An error in the reply is raised."""
    message = await client.request(f"scheduler.cmd.demo.{command}", json.dumps(body).encode(), timeout=5)
    reply = json.loads(message.data)
    if "error" in reply:
        raise RuntimeError(reply["error"])
    return reply


async def main():
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    fired = await client.subscribe("demo.python")
    await ask(client, "schedule.create", name="python-hello", schedule_type="interval", interval_seconds=0.5,
              target_command="demo.python", delivery="core", command_payload={"from": "python"})
    for _ in range(2):
        message = await fired.next_msg(timeout=5)
        # The same for each copy of one occurrence: record it with your effect.
        print(message.headers["Scheduler-Execution-Id"], message.data.decode())
    await ask(client, "schedule.delete", name="python-hello")
    await client.close()
    print("done")


asyncio.run(main())
