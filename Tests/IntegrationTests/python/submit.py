"""Durable commands by a client that the project did not write: nats-py's JetStream publish, and its ordered consumer.

Usage: submit.py <nats url>. Any deviation ends it with a traceback and status 1.
"""
import asyncio
import json
import sys

import nats


async def main(url):
    nc = await nats.connect(url)
    js = nc.jetstream()
    info = await js.stream_info("SCHEDULER_COMMANDS")
    assert info.config.retention == "workqueue" and info.config.discard == "new", info.config
    assert info.config.storage == "file" and info.config.max_age in (None, 0), info.config
    assert set(info.config.subjects) == {"scheduler.submit.>"} | {
        f"scheduler.run.*.*.{report}" for report in ("started", "succeeded", "failed")}, info.config
    events = await js.subscribe("scheduler.evt.pysubmit.>", ordered_consumer=True)
    body = {"name": "py", "schedule_type": "interval", "interval_seconds": 3600, "target_command": "demo.js.py"}
    commands = [("create", body), ("pause", {"name": "py"}), ("resume", {"name": "py", "if_version": 1}),
                ("delete", {"name": "py"})]
    for place, (verb, content) in enumerate(commands):
        subject, payload = f"scheduler.submit.pysubmit.schedule.{verb}", json.dumps(content).encode()
        ack = await js.publish(subject, payload, headers={"Nats-Msg-Id": f"py-{place}"})
        assert ack.stream == "SCHEDULER_COMMANDS" and ack.seq > 0 and not ack.duplicate, ack
        again = await js.publish(subject, payload, headers={"Nats-Msg-Id": f"py-{place}"})
        assert again.duplicate and again.seq == ack.seq, again
    told = {}
    while len(told) < len(commands):
        event = json.loads((await events.next_msg(timeout=10)).data)
        if ".command_" in event["type"]:
            told[event["correlationid"]] = (event["type"].rsplit("_", 1)[1], event["data"])
    verdicts = [told[f"py-{place}"][0] for place in range(len(commands))]
    assert verdicts == ["accepted", "accepted", "rejected", "accepted"], told
    assert told["py-2"][1]["error"]["err_code"] == 20410, told
    await nc.close()


asyncio.run(main(sys.argv[1]))
