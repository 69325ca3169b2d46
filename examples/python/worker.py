"""A worker that says how its work ends: completion `report`. It fails once, and is sent the work again. Needs nats-py.

NATS_URL=nats://127.0.0.1:4222 python3 examples/python/worker.py
"""

import asyncio
import json
import os

import nats


class Worker:
    def __init__(self, client, work):
        self.client, self.stream, self.work = client, client.jetstream(), work

    async def take(self, message):
        """One attempt, from its start to its end."""
        subject = message.headers["Scheduler-Status-Subject"]
        # Names the attempt: a report with another fence than the current attempt's is refused.
        fence = {"Scheduler-Fence": message.headers["Scheduler-Fence"]}
        # Before anything is begun: the wish to stop is said once.
        stop = await self.client.subscribe(f"{subject}.cancel")
        work = asyncio.create_task(self.work(message))
        watch = asyncio.create_task(self.watch(stop, work))
        beat = asyncio.create_task(self.beat(subject, fence))
        await self.stream.publish(f"{subject}.started", headers=fence)
        try:
            end, body = "succeeded", {"result": await work}
        except asyncio.CancelledError:
            end, body = "failed", {"error": "stopped as asked"}
        except Exception as error:
            end, body = "failed", {"error": str(error), "retry_after_seconds": 0.2}
        watch.cancel()
        beat.cancel()
        await stop.unsubscribe()
        # Kept until a scheduler takes it, whether or not one runs now.
        await self.stream.publish(f"{subject}.{end}", json.dumps(body).encode(), headers=fence)

    async def watch(self, stop, work):
        async for _ in stop.messages:
            work.cancel()

    async def beat(self, subject, fence):
        while True:
            await self.client.publish(f"{subject}.heartbeat", headers=fence)
            await asyncio.sleep(1)


async def main():
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    attempts, ended = [], asyncio.Event()

    async def make_report(message):
        attempts.append(message.headers["Scheduler-Attempt"])
        if len(attempts) == 1:
            raise RuntimeError("the printer is on fire")
        return {"pages": 12}

    async def on_event(message):
        event = json.loads(message.data)
        print(event["type"], "attempt", event["data"]["attempt"], event["data"].get("reason", ""))
        if event["type"].endswith((".succeeded", ".dead")):
            ended.set()

    await client.subscribe("demo.worker", cb=Worker(client, make_report).take)
    await client.subscribe("scheduler.evt.demo.execution.>", cb=on_event)
    await client.flush()
    schedule = {"schedule_type": "immediate", "target_command": "demo.worker", "delivery": "core",
                "completion": "report", "run_timeout_seconds": 60, "heartbeat_timeout_seconds": 10, "max_retries": 3}
    reply = json.loads((await client.request(
        "scheduler.cmd.demo.schedule.create", json.dumps(schedule).encode(), timeout=5)).data)
    if "error" in reply:
        raise RuntimeError(reply["error"])
    await asyncio.wait_for(ended.wait(), 15)
    assert attempts == ["1", "2"], attempts
    await client.close()
    print("done")


asyncio.run(main())
