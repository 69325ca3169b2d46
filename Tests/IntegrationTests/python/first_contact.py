"""A client that the project did not write: nats-py. Plain requests, plain subscriptions, its own micro models.

Usage: first_contact.py <nats url>. Prints what was checked; any deviation ends it with a traceback and status 1.
"""
import asyncio
import hashlib
import json
import re
import sys
import uuid
from datetime import datetime, timedelta, timezone

try:
    import nats
    from nats.micro import service as micro
except ImportError:
    sys.exit(3)

PAYLOAD = b'{"a": 1.50, "b":[ ]}'
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


async def command(nc, name, body):
    """Sends a command whose body holds PAYLOAD verbatim, so that no JSON library writes it anew."""
    text = json.dumps(body)[:-1].encode() + b', "command_payload":' + PAYLOAD + b"}"
    reply = json.loads((await nc.request(f"scheduler.cmd.python.{name}", text, timeout=5)).data)
    assert "error" not in reply, reply
    assert reply["type"] == "io.carillon.v1." + name.replace(".", "_") + "_response", reply
    return reply


def check_message(message, schedule, trigger):
    headers = message.headers
    execution = headers["Scheduler-Execution-Id"]
    assert message.data == PAYLOAD, message.data
    assert uuid.UUID(execution).version == 8, execution
    expected = {
        "Nats-Msg-Id": f"{execution}.1",
        "Scheduler-Schedule-Id": schedule["id"],
        "Scheduler-Schedule-Name": schedule["name"],
        "Scheduler-Namespace": "python",
        "Scheduler-Attempt": "1",
        "Scheduler-Trigger": trigger,
        "Content-Type": "application/json",
        "X-Own": "ein Wert",
    }
    for name, value in expected.items():
        assert headers[name] == value, (name, headers)
    assert re.fullmatch(INSTANT, headers["Scheduler-Scheduled-For"]), headers
    assert int(headers["Scheduler-Fence"]) >= 1, headers
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceparent"]), headers
    others = {"Scheduler-Execution-Id", "Scheduler-Scheduled-For", "Scheduler-Fence", "traceparent"}
    assert set(headers) == set(expected) | others, set(headers)
    due = datetime.fromisoformat(headers["Scheduler-Scheduled-For"])
    assert int(execution.replace("-", "")[:12], 16) == round(due.timestamp() * 1000)
    return execution


async def fires_of_each_type(nc):
    soon = (datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    types = {
        "cron": ({"cron_expression": "* * * * * *", "max_runs": 2}, 2),
        "interval": ({"interval_seconds": 0.5, "max_runs": 2}, 2),
        "once": ({"run_at": soon}, 1),
        "immediate": ({}, 1),
        "rrule": ({"rrule": "FREQ=SECONDLY;COUNT=2"}, 2),
    }
    waiting = {}
    for kind, (fields, count) in types.items():
        delivery = "core" if kind == "interval" else "jetstream"
        subject = f"demo.{'core' if delivery == 'core' else 'js'}.py.{kind}"
        subscription = await nc.subscribe(subject)
        await nc.flush()
        body = {"name": f"py-{kind}", "schedule_type": kind, "target_command": subject, "delivery": delivery,
                "command_headers": {"X-Own": "ein Wert"}} | fields
        waiting[kind] = (subscription, (await command(nc, "schedule.create", body))["schedule"], count)
    executions = {}
    for kind, (subscription, schedule, count) in waiting.items():
        fences = []
        for _ in range(count):
            message = await subscription.next_msg(timeout=5)
            executions[check_message(message, schedule, kind)] = schedule["id"]
            fences.append(int(message.headers["Scheduler-Fence"]))
        assert fences == sorted(set(fences)), fences
        print(f"fired: {kind} x{count}")
    return executions, [schedule["id"] for _, schedule, _ in waiting.values()]


async def events_in_the_stream(nc, executions, schedules):
    js = nc.jetstream()
    info = await js.stream_info("SCHEDULER_EVENTS")
    assert info.config.subjects == ["scheduler.evt.>"] and info.config.max_age == 7 * 86400, info.config
    # Each schedule: created, its executions, exhausted.
    expected = 2 * len(schedules) + len(executions)
    subscription = await js.subscribe("scheduler.evt.python.>", ordered_consumer=True)
    events = {}
    while len(events) < expected:
        message = await subscription.next_msg(timeout=5)
        event = json.loads(message.data)
        assert message.headers["Nats-Msg-Id"] == event["id"], message.headers
        assert message.headers["Content-Type"] == "application/cloudevents+json", message.headers
        assert event["id"] not in events, event
        assert event["specversion"] == "1.0" and event["source"].startswith("/carillon/"), event
        assert re.fullmatch(INSTANT, event["time"]) and event["datacontenttype"] == "application/json", event
        family, name = re.fullmatch(r"io\.carillon\.(\w+)\.v1\.(\w+)", event["type"]).groups()
        assert message.subject == f"scheduler.evt.python.{family}.{name}.{event['subject']}", message.subject
        assert re.fullmatch(r"\d{20}\.\d{4}", event["sequence"]), event
        assert "command_payload" not in event["data"] and "payload" not in event["data"], event
        events[event["id"]] = event | {"short": f"{family} {name}"}
    for schedule in schedules:
        own = sorted((e for e in events.values() if e["subject"] == schedule), key=lambda e: e["sequence"])
        names = [e["short"] for e in own]
        assert names[0] == "schedule created" and names[-1] == "schedule exhausted", names
        assert set(names[1:-1]) == {"execution delivered"}, names
    delivered = {e["data"]["execution_id"]: e for e in events.values() if e["short"] == "execution delivered"}
    assert {k: e["subject"] for k, e in delivered.items()} == executions
    for event in delivered.values():
        data = event["data"]
        assert data["payload_sha256"] == hashlib.sha256(PAYLOAD).hexdigest(), data
        assert data["status"] == "delivered" and data["attempt"] == 1 and data["lateness_ms"] >= 0, data
        assert {"schedule_id", "schedule_name", "namespace", "scheduled_for", "fired_at", "trigger"} <= set(data), data
    print(f"events: {len(events)}")


async def discovery(nc):
    def body(verb):
        return nc.request(f"$SRV.{verb}", b"", timeout=5)

    ping = micro.ServicePing.from_dict(json.loads((await body("PING")).data))
    assert ping.name == "carillon" and ping.type == "io.nats.micro.v1.ping_response", ping
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", ping.version), ping
    info = micro.ServiceInfo.from_dict(json.loads((await body("INFO")).data))
    names = {endpoint.name for endpoint in info.endpoints}
    assert {"schedule-create", "execution-list", "target-list", "admin-system-status"} <= names, names
    assert all(endpoint.queue_group for endpoint in info.endpoints)
    stats = micro.ServiceStats.from_dict(json.loads((await body(f"STATS.carillon.{ping.id}")).data))
    create = next(e for e in stats.endpoints if e.name == "schedule-create")
    assert stats.id == ping.id and create.num_requests >= 4 and create.processing_time > 0, create
    await counters(nc, ping.id)
    print(f"micro: {ping.name} {ping.version}, {len(names)} endpoints")


async def counters(nc, instance):
    """A creator's command and an administrator's of the same noun and verb are counted each by itself."""
    async def counts():
        stats = micro.ServiceStats.from_dict(
            json.loads((await nc.request(f"$SRV.STATS.carillon.{instance}", b"", timeout=5)).data))
        return {e.name: e.num_requests for e in stats.endpoints}

    before = await counts()
    for subject in ["admin.target.list", "admin.target.list", "cmd.python.target.list"]:
        reply = json.loads((await nc.request(f"scheduler.{subject}", b"", timeout=5)).data)
        assert "error" not in reply, reply
    after = await counts()
    grown = [after[name] - before[name] for name in ("admin-target-list", "target-list")]
    assert grown == [2, 1], grown


async def locks(nc):
    bucket = await nc.jetstream().key_value("SCHEDULER_LOCKS")
    keys = await bucket.keys()
    assert any(key.startswith("member.") for key in keys), keys
    for key in keys:
        text = (await bucket.get(key)).value.decode()
        assert text.isprintable() and text, (key, text)
        print(f"lock: {key} = {text}")


async def main(url):
    # The inbox that the traffic's recorder listens to.
    nc = await nats.connect(url, inbox_prefix="_INBOX.fixture")
    executions, schedules = await fires_of_each_type(nc)
    await events_in_the_stream(nc, executions, schedules)
    await discovery(nc)
    await locks(nc)
    await nc.close()


asyncio.run(main(sys.argv[1]))
