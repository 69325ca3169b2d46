"""Workers that the project did not write, and that report (completion `report`): nats-py, each ending as it should.

Usage: report_workers.py <nats url>. Prints what was checked; any deviation ends it with a traceback and status 1.
"""
import asyncio
import json
import sys
from datetime import datetime

import nats

NAMESPACE = "pyreport"
LIMIT = 15


class Events:
    """The events of the namespace as they pass by, and what waits for them."""

    def __init__(self):
        self.by_schedule = {}
        self.ids = set()
        self.changed = asyncio.Condition()

    async def note(self, message):
        event = json.loads(message.data)
        if event["id"] in self.ids:
            return
        self.ids.add(event["id"])
        async with self.changed:
            self.by_schedule.setdefault(event["subject"], []).append(event)
            self.changed.notify_all()

    def of(self, schedule):
        """An execution's events in their order: the attempt's fence, then the step."""
        return sorted((e for e in self.by_schedule.get(schedule, []) if ".execution." in e["type"]),
                      key=lambda e: e["sequence"])

    def names(self, schedule):
        return [e["type"].rsplit(".", 1)[1] for e in self.of(schedule)]

    async def wait(self, schedule, name, count=1):
        async with self.changed:
            try:
                await asyncio.wait_for(
                    self.changed.wait_for(lambda: self.names(schedule).count(name) >= count), LIMIT)
            except asyncio.TimeoutError:
                raise AssertionError(f"no {name}: {self.names(schedule)}") from None


class Case:
    """One schedule that fires at once, and the worker that takes its messages."""

    def __init__(self, nc, events, name):
        self.nc, self.js, self.events, self.name = nc, nc.jetstream(), events, name

    async def start(self, **fields):
        subject = f"demo.js.{NAMESPACE}.{self.name}"
        self.commands = await self.nc.subscribe(subject)
        await self.nc.flush()
        body = {"name": self.name, "schedule_type": "immediate", "target_command": subject, "completion": "report",
                "run_timeout_seconds": 60, "max_retries": 0, "retry_delay_seconds": 0.05} | fields
        self.id = (await self.command("schedule.create", body))["schedule"]["id"]
        return await self.message()

    async def command(self, name, body):
        reply = json.loads((await self.nc.request(
            f"scheduler.cmd.{NAMESPACE}.{name}", json.dumps(body).encode(), timeout=5)).data)
        assert "error" not in reply, (self.name, name, reply)
        return reply

    async def message(self):
        message = await self.commands.next_msg(timeout=LIMIT)
        headers = message.headers
        assert headers["Scheduler-Status-Subject"] == (
            f"scheduler.run.{NAMESPACE}.{headers['Scheduler-Execution-Id']}"), headers
        deadline = datetime.fromisoformat(headers["Scheduler-Deadline"])
        assert deadline > datetime.fromisoformat(headers["Scheduler-Scheduled-For"]), headers
        self.execution = headers["Scheduler-Execution-Id"]
        return message

    async def report(self, message, kind, fence=None, **body):
        """Through JetStream, which acknowledges it; the fence as a header."""
        headers = {"Scheduler-Fence": fence or message.headers["Scheduler-Fence"]}
        payload = json.dumps(body).encode() if body else b""
        ack = await self.js.publish(
            f"{message.headers['Scheduler-Status-Subject']}.{kind}", payload, headers=headers)
        assert ack.stream == "SCHEDULER_COMMANDS", ack

    async def say(self, message, kind, **body):
        """Without JetStream's word; the fence in the body, as the message brought it."""
        body = {"fence": message.headers["Scheduler-Fence"]} | body
        await self.nc.publish(f"{message.headers['Scheduler-Status-Subject']}.{kind}", json.dumps(body).encode())

    async def ends(self, end, events, **expected):
        await self.events.wait(self.id, end)
        names = [name for name in self.events.names(self.id) if name != "report_problem"]
        assert names == events.split(), (self.name, names)
        execution = (await self.command("execution.get", {"id": self.execution}))["execution"]
        expected = {"status": end} | expected
        assert {name: execution.get(name) for name in expected} == expected, (self.name, execution)
        assert "finished_at" in execution and "deadline" not in execution, execution
        print(f"{self.name}: {' '.join(names)}")
        return execution

    async def problems(self, *codes):
        await self.events.wait(self.id, "report_problem", len(codes))
        told = [e["data"] for e in self.events.of(self.id) if e["type"].endswith("report_problem")]
        assert sorted(d["error"]["err_code"] for d in told) == sorted(codes), told
        assert all(d["execution_id"] == self.execution for d in told), told
        return told


async def good(case):
    message = await case.start(heartbeat_timeout_seconds=30)
    await case.report(message, "started")
    await case.events.wait(case.id, "running")
    await case.say(message, "heartbeat", progress={"done": 1, "of": 2})
    for _ in range(500):
        running = (await case.command("execution.get", {"id": case.execution}))["execution"]
        if "progress" in running:
            break
        await asyncio.sleep(0.02)
    assert running["status"] == "running" and running["progress"] == {"done": 1, "of": 2}, running
    assert running["deadline"]["kind"] == "heartbeat" and "started_at" in running, running
    await case.report(message, "succeeded", result={"rows": [1, 2]})
    execution = await case.ends("succeeded", "delivered running succeeded", attempt=1)
    assert execution["result"] == {"rows": [1, 2]} and "started_at" in execution, execution


async def quick(case):
    """All of it at once, and nothing said of the start: quicker than the record of the acknowledgement."""
    message = await case.start()
    await case.report(message, "succeeded")
    await case.ends("succeeded", "delivered succeeded", attempt=1)


async def dies(case):
    """Dies in mid-run; the next attempt is another's, under a fence of its own."""
    first = await case.start(heartbeat_timeout_seconds=0.3, max_retries=1)
    stop = await case.nc.subscribe(first.headers["Scheduler-Status-Subject"] + ".cancel")
    await case.report(first, "started")
    assert (await stop.next_msg(timeout=LIMIT)).subject.endswith(".cancel")
    second = await case.message()
    assert second.headers["Scheduler-Execution-Id"] == first.headers["Scheduler-Execution-Id"]
    assert int(second.headers["Scheduler-Fence"]) > int(first.headers["Scheduler-Fence"])
    assert second.headers["Scheduler-Attempt"] == "2"
    assert second.headers["Nats-Msg-Id"].endswith(".2"), second.headers
    await case.report(second, "succeeded")
    await case.ends("succeeded", "delivered running timed_out retrying delivered succeeded", attempt=2,
                    last_outcome="timed_out")


async def twice(case):
    """Says everything twice, and takes it back at last: the first word counts."""
    message = await case.start(max_retries=3)
    await case.events.wait(case.id, "delivered")
    for kind in ("started", "started", "succeeded", "succeeded", "started"):
        await case.report(message, kind)
    await case.events.wait(case.id, "succeeded")
    await case.report(message, "failed", error="or not")
    told = await case.problems(20412)
    assert told[0]["report"] == "failed" and not told[0]["counted"], told
    await case.ends("succeeded", "delivered running succeeded", attempt=1)


async def old_fence(case):
    """An attempt that was given up speaks of its end while the next one runs."""
    first = await case.start(max_retries=1)
    await case.report(first, "failed", error="torn from the wall", retry_after_seconds=0.05)
    second = await case.message()
    assert int(second.headers["Scheduler-Fence"]) > int(first.headers["Scheduler-Fence"])
    await case.report(first, "succeeded", result="of the first")
    await case.problems(20412)
    await case.report(second, "failed", error="disk full", result=1)
    await case.problems(20412, 10427)
    await case.ends("dead", "delivered failed retrying delivered failed dead", attempt=2, last_outcome="failed",
                    reason="disk full")


async def silent(case):
    """Never answers."""
    await case.start(start_timeout_seconds=0.3)
    execution = await case.ends("dead", "delivered timed_out dead", attempt=1, last_outcome="timed_out")
    assert "start time-out" in execution["reason"], execution


async def late(case):
    """Succeeds after its time-out and before the next attempt: that counts."""
    message = await case.start(run_timeout_seconds=0.3, max_retries=3, retry_delay_seconds=60)
    await case.events.wait(case.id, "retrying")
    waiting = (await case.command("execution.get", {"id": case.execution}))["execution"]
    assert waiting["status"] == "retry_wait" and waiting["deadline"]["kind"] == "retry", waiting
    await case.report(message, "succeeded")
    await case.ends("succeeded", "delivered timed_out retrying succeeded", attempt=1)


async def fatal(case):
    message = await case.start(max_retries=3)
    await case.report(message, "failed", error="no such customer", fatal=True)
    await case.ends("dead", "delivered failed dead", attempt=1, reason="no such customer")


async def asks_for_a_pause(case):
    """Its own pause goes over the schedule's."""
    message = await case.start(max_retries=1, retry_delay_seconds=300)
    await case.report(message, "failed", error="busy", retry_after_seconds=0.05)
    await case.report(await case.message(), "succeeded")
    await case.ends("succeeded", "delivered failed retrying delivered succeeded", attempt=2)


async def stops_when_asked(case):
    message = await case.start(max_retries=3)
    stop = await case.nc.subscribe(message.headers["Scheduler-Status-Subject"] + ".cancel")
    await case.report(message, "started")
    await case.events.wait(case.id, "running")
    asked = await case.command("execution.cancel", {"id": case.execution, "reason": "tea"})
    assert asked["execution"]["status"] == "running", asked
    assert asked["execution"]["deadline"]["kind"] == "cancel", asked
    wish = await stop.next_msg(timeout=LIMIT)
    assert json.loads(wish.data)["reason"] == "tea", wish.data
    await case.report(message, "failed", error="stopped")
    await case.ends("cancelled", "delivered running cancelled", reason="tea")


async def finishes_all_the_same(case):
    message = await case.start()
    await case.events.wait(case.id, "delivered")
    await case.command("execution.cancel", {"id": case.execution})
    await case.report(message, "succeeded")
    await case.ends("succeeded", "delivered succeeded")


async def cancelled_between_attempts(case):
    message = await case.start(max_retries=3, retry_delay_seconds=60)
    await case.report(message, "failed")
    await case.events.wait(case.id, "retrying")
    gone = await case.command("execution.cancel", {"id": case.execution, "reason": "enough"})
    assert gone["execution"]["status"] == "cancelled", gone
    await case.ends("cancelled", "delivered failed retrying cancelled", reason="enough", last_outcome="failed")


async def strangers(nc, events):
    """Reports that mean nothing to anybody are told, each once."""
    js, known = nc.jetstream(), "01a1fd73-4b71-8e15-b464-f0143fffdf21"
    for _ in range(2):
        await js.publish(f"scheduler.run.{NAMESPACE}.{known}.succeeded", b'{"fence":1}')
    await js.publish(f"scheduler.run.{NAMESPACE}.nobody.started", b"")
    await js.publish(f"scheduler.run.{NAMESPACE}.{known}.failed", b'{"error":"no fence"}')
    async with events.changed:
        await asyncio.wait_for(events.changed.wait_for(lambda: len(events.by_schedule.get("_", [])) >= 3), LIMIT)
    codes = sorted(e["data"]["error"]["err_code"] for e in events.by_schedule["_"])
    assert codes == [10401, 10425, 20405], codes
    print("strangers: told")


async def main(url):
    nc = await nats.connect(url, inbox_prefix="_INBOX.fixture")
    events = Events()
    await nc.subscribe(f"scheduler.evt.{NAMESPACE}.>", cb=events.note)
    await nc.flush()
    cases = [good, quick, dies, twice, old_fence, silent, late, fatal, asks_for_a_pause, stops_when_asked,
             finishes_all_the_same, cancelled_between_attempts]
    await asyncio.gather(*(case(Case(nc, events, case.__name__)) for case in cases), strangers(nc, events))
    await nc.close()


asyncio.run(main(sys.argv[1]))
