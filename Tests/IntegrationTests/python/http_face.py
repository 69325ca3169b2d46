"""The REST face, as Python's own HTTP client sees it: http_face.py <part> <address> <tokens file> <nats url>"""

import asyncio
import http.client
import json
import os
import random
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import nats

PART, ADDRESS, TOKENS, NATS = sys.argv[1:]
HOST, PORT = urlsplit(ADDRESS).hostname, urlsplit(ADDRESS).port
PATIENCE = 20
RECORD = os.environ.get("CARILLON_RECORD_TRAFFIC")
recorded = []


def call(method, path, body=None, token="root", namespace="http", **headers):
    """One request. Gives the status, the body as JSON where it is, and the headers."""
    connection = http.client.HTTPConnection(HOST, PORT, timeout=PATIENCE)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        fields["Authorization"] = f"Bearer {token}-token"
    if namespace:
        fields["Scheduler-Namespace"] = namespace
    if body is not None:
        fields.setdefault("Content-Type", "application/json")
    content = json.dumps(body) if isinstance(body, (dict, list)) else body
    connection.request(method, path, content, fields)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    is_json = (reply.getheader("Content-Type") or "").startswith("application/json")
    value = json.loads(text) if is_json and text else text
    if is_json and isinstance(value, dict) and str(value.get("type", "")).startswith("io.carillon.v1."):
        recorded.append({"subject": f"_INBOX.http.{len(recorded)}", "reply": None, "bytes": len(text), "headers": {},
                         "body": text})
        if "error" in value:
            assert value["error"]["code"] == reply.status, (reply.status, value)
    assert reply.status < 500 or reply.status == 503, (method, path, reply.status, text)
    return reply.status, value, dict(reply.getheaders())


def api(method, path, body=None, status=200, **more):
    found, value, headers = call(method, "/api/v1" + path, body, **more)
    assert found == status, (method, path, found, value)
    return value


def refused(method, path, status, code, body=None, **more):
    value = api(method, path, body, status, **more)
    assert value["error"]["err_code"] == code, value
    return value


def until(what, limit=PATIENCE):
    deadline = time.monotonic() + limit
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def definition(name, **more):
    return {"name": name, "schedule_type": "interval", "interval_seconds": 3600, "target_command": "demo.js.http",
            "paused": True} | more


def commands():
    payload = '{"a": 1.50e0, "b":[ ]}'
    text = json.dumps(definition("first"))[:-1] + f', "command_payload":{payload}}}'
    status, made, headers = call("POST", "/api/v1/schedules", text, Idempotency_Key="http-1")
    assert status == 201, made
    id = made["schedule"]["id"]
    assert headers["Location"] == f"/api/v1/schedules/{id}"
    # The same again is the first reply; another body under the same key is a conflict.
    assert call("POST", "/api/v1/schedules", text, Idempotency_Key="http-1")[1] == made
    refused("POST", "/schedules", 409, 20411, definition("second"), Idempotency_Key="http-1")
    refused("POST", "/schedules", 409, 20409, definition("first"))
    rehearsed = api("POST", "/schedules", definition("third", dry_run=True))
    assert rehearsed["dry_run"] is True
    connection = http.client.HTTPConnection(HOST, PORT, timeout=PATIENCE)
    connection.request("GET", "/api/v1/schedules/first", headers={"Authorization": "Bearer one-token"})
    assert payload in connection.getresponse().read().decode(), "the payload is not what was written"
    assert api("GET", f"/schedules/{id}")["schedule"]["name"] == "first"
    assert api("PUT", "/schedules/first", definition("first", interval_seconds=60))["schedule"]["version"] == 2
    refused("PUT", "/schedules/first", 422, 10427, definition("another"))
    assert api("PATCH", "/schedules/first", {"tags": ["a", "b"]})["schedule"]["tags"] == ["a", "b"]
    refused("PATCH", "/schedules/first", 409, 20410, {"tags": [], "if_version": 1})
    assert api("POST", "/schedules/first/resume")["schedule"]["state"] == "active"
    assert api("POST", "/schedules/first/pause", {"reason": "a look"})["schedule"]["state"] == "paused"
    execution = api("POST", "/schedules/first/trigger")["execution"]["id"]
    until(lambda: api("GET", f"/executions/{execution}")["execution"]["status"] == "delivered")
    refused("POST", f"/executions/{execution}/cancel", 409, 20412)
    refused("POST", f"/executions/{execution}/retry", 409, 20412)
    assert [found["id"] for found in api("GET", "/schedules/first/executions")["executions"]] == [execution]
    assert api("GET", f"/executions?schedule_id={id}&limit=1")["executions"][0]["id"] == execution
    assert api("GET", "/executions/running")["executions"] == []
    assert "stats" in api("GET", f"/executions/stats/{id}") and "stats" in api("GET", "/executions/stats")
    assert "stats" in api("GET", "/schedules/first/stats?window_seconds=60")
    assert len(api("GET", "/schedules/first/preview?count=3")["fires"]) == 3
    assert "explanation" in api("GET", f"/schedules/{id}/explain?at=2026-01-01T00:00:00Z")
    assert len(api("POST", "/schedules/preview", definition("x") | {"count": 2})["fires"]) == 2
    assert "error" not in api("POST", "/schedules/validate", definition("x"))
    refused("POST", "/schedules/validate", 422, 10428, definition("x", schedule_type="cron", cron_expression="x",
                                                               interval_seconds=None))
    results = api("POST", "/schedules/bulk/create", {"schedules": [definition("b1", tags=["bulk"]), definition("b2")]})
    assert len(results["results"]) == 2
    listed = api("GET", "/schedules?tag=bulk&tag=a&state=paused&sort=-created_at")["schedules"]
    assert [found["name"] for found in listed] == ["b1", "first"], listed
    page = api("GET", "/schedules?limit=1")
    assert api("GET", f"/schedules?limit=1&cursor={page['next_cursor']}")["schedules"][0] != page["schedules"][0]
    refused("GET", "/schedules?limit=many", 422, 10424)
    refused("GET", "/schedules?colour=red", 422, 10423)
    api("POST", "/schedules/bulk/operation", {"names": ["b1", "b2"], "operation": "delete"})
    api("PUT", "/calendars/de", {"holidays": ["2026-12-25"]})
    assert api("GET", "/calendars/de")["calendar"]["name"] == "de" and api("GET", "/calendars")["calendars"]
    api("DELETE", "/calendars/de")
    assert api("GET", "/targets")["targets"]
    entries = api("GET", "/audit?limit=1000&schedule_name=first")["entries"]
    assert {entry["actor"] for entry in entries} == {"root"}, entries
    earlier = (datetime.now(timezone.utc) - timedelta(hours=3)).isoformat()
    assert "backfill" in api("POST", "/schedules/first/backfill", {"from": earlier, "limit": 1, "dry_run": True})
    refused("POST", "/schedules/first/backfill", 422, 20422, {"from": "2020-01-01T00:00:00Z"})
    api("DELETE", "/schedules/first?reason=done&if_version=99", status=409)
    api("DELETE", "/schedules/first?reason=done")
    refused("GET", "/schedules/first", 404, 20404)
    for body, code in (("{", 10400), ("[1]", 10403), ('{"name":"x","name":"y"}', 10400), ("[" * 100, 10402)):
        value = api("POST", "/schedules", body, 400)
        assert value["error"]["err_code"] == code, (body, value)
    refused("PUT", "/schedules", 405, 10406, {})
    refused("POST", "/schedules", 415, 10415, "a=1", Content_Type="application/x-www-form-urlencoded")


def tokens():
    status, value, headers = call("GET", "/api/v1/schedules", token=None)
    assert status == 401 and value["error"]["err_code"] == 30401 and headers["WWW-Authenticate"].startswith("Bearer")
    refused("GET", "/schedules", 401, 30401, token="nobody")
    assert "nobody" not in json.dumps(api("GET", "/schedules", token="nobody", status=401))
    assert "schedules" in api("GET", "/schedules", token="one", namespace=None)
    refused("GET", "/schedules", 403, 30402, token="one", namespace="other")
    refused("GET", "/schedules", 400, 10401, token="reader", namespace=None)
    api("GET", "/schedules", token="reader", namespace="http-other")
    refused("POST", "/schedules", 403, 30408, definition("never"), token="reader")
    refused("DELETE", "/schedules/never", 403, 30408, token="reader")
    refused("GET", "/admin/system/status", 403, 30408, token="one")
    assert api("GET", "/admin/system/status", namespace=None)["system"]["ready"]
    api("POST", "/admin/namespace/limits", {"namespace": "http-other", "max_schedules": 5}, namespace=None)
    # A file that changes holds from then on; one that cannot be read changes nothing, and is told.
    path, before = Path(TOKENS), Path(TOKENS).read_text()
    try:
        path.write_text("\n".join(line for line in before.splitlines() if "name: one," not in line) + "\n")
        until(lambda: call("GET", "/api/v1/schedules", token="one")[0] == 401)
        api("GET", "/schedules")
        path.write_text("tokens: 7\n")
        until(lambda: any(problem["name"] == "tokens_file" for problem in call("GET", "/health/detailed")[1]["problems"]))
        api("GET", "/schedules", token="reader")
    finally:
        path.write_text(before)
    until(lambda: call("GET", "/api/v1/schedules", token="one")[0] == 200)
    assert call("GET", "/health/detailed")[0] == 200


def health():
    for path in ("/live", "/ready", "/health"):
        status, value, _ = call("GET", path, token=None, namespace=None)
        assert status == 200, (path, value)
    assert call("GET", "/health/detailed", token=None)[0] == 401
    status, value, _ = call("GET", "/health/detailed", namespace=None)
    assert status == 200 and value["status"] == "ok" and not value["problems"], value
    assert value["nats"]["connected"] and value["postgresql"]["answers"] and value["lease"]["held"], value
    assert value["streams"]["SCHEDULER_EVENTS"]["found"] and value["tzdata"]["version"], value
    assert value["migrations"]["applied"] > 10 and value["migrations"]["others"] == [], value
    assert {"overdue", "in_flight", "outbox_pending"} <= value["backlog"].keys() and "clock_offset_ms" in value, value
    status, text, headers = call("GET", "/metrics", token=None)
    assert status == 200 and 'scheduler_build_info{version="' in text and headers["Content-Type"].startswith("text/plain")
    status, document, _ = call("GET", "/api/v1/openapi.json", token=None)
    assert document["openapi"] == "3.1.0"

    async def foreign():
        client = await nats.connect(NATS)
        await client.jetstream().add_stream(name="FOREIGN", subjects=["scheduler.admin.foreign.>"])
        try:
            status, value, _ = await asyncio.to_thread(call, "GET", "/health/detailed")
        finally:
            await client.jetstream().delete_stream("FOREIGN")
            await client.close()
        assert status == 503 and value["status"] == "degraded", value
        assert [problem["name"] for problem in value["problems"]] == ["foreign_stream"], value
        assert "FOREIGN" in value["problems"][0]["description"]

    asyncio.run(foreign())


class Follower:
    """A client of the events, as the standard has them."""

    def __init__(self, query="", last=None, token="one"):
        self.connection = http.client.HTTPConnection(HOST, PORT, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {token}-token"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.connection.request("GET", "/api/v1/events" + query, headers=headers)
        self.reply = self.connection.getresponse()
        assert self.reply.status == 200 and self.reply.getheader("Content-Type") == "text/event-stream", self.reply.status
        assert self.reply.readline() == b"retry: 1000\n" and self.reply.readline() == b"\n"

    def next(self):
        """The next event: its kind, its id and what it says."""
        fields = {}
        while line := self.reply.readline().decode():
            if line == "\n" and fields:
                return fields.get("event", "message"), int(fields.get("id", 0)), json.loads(fields["data"])
            name, colon, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
        raise AssertionError("the events ended")

    def close(self):
        self.connection.sock and self.connection.sock.close()
        self.reply.close()


def events():
    mark = f"events-{random.getrandbits(32):x}"
    api("POST", "/schedules", definition(mark), status=201)
    told = []
    follower = Follower("?event=schedule.updated")

    def change(number):
        api("PATCH", f"/schedules/{mark}", {"description": str(number)})

    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    api("PATCH", f"/schedules/{mark}", {"description": "0"}, traceparent=f"00-{trace}-00f067aa0ba902b7-01", tracestate="a=1")
    kind, last, event = follower.next()
    assert event["traceparent"].split("-")[1] == trace and event["tracestate"] == "a=1", event
    assert kind == "message" and event["type"] == "io.carillon.schedule.v1.updated" and event["specversion"] == "1.0"
    told.append(event["data"]["version"])
    # The client goes, and comes back again and again, while changes go on: none is missing, none comes out of order.
    follower.close()
    worker = threading.Thread(target=lambda: [change(number) for number in range(1, 25)])
    worker.start()
    while len(told) < 25:
        follower = Follower("?event=schedule.updated", last=last)
        for _ in range(min(5, 25 - len(told))):
            kind, last, event = follower.next()
            assert kind == "message", (kind, event)
            told.append(event["data"]["version"])
        follower.close()
    worker.join()
    assert told == list(range(2, 27)), told
    # Another namespace's events are not for this token; for one of all they are.
    api("POST", "/schedules", definition(mark), status=201, namespace="http-other")
    api("DELETE", f"/schedules/{mark}", namespace="http-other")
    api("DELETE", f"/schedules/{mark}")
    follower = Follower("?event=schedule.deleted", last=last)
    assert follower.next()[2]["data"]["namespace"] == "http"
    follower.close()
    follower = Follower("?event=schedule.deleted", last=last, token="reader")
    assert {follower.next()[2]["data"]["namespace"] for _ in range(2)} == {"http", "http-other"}
    follower.close()
    follower = Follower("?event=schedule.deleted", last=10**15)
    kind, _, gap = follower.next()
    assert kind == "gap" and gap["next"] >= 1, (kind, gap)
    follower.close()
    refused("GET", "/events?namespace=elsewhere", 403, 30402, token="one", namespace=None)
    refused("GET", "/events?event=nothing", 422, 10426, token="one")


def followed():
    """The events from the first one on."""
    follower = Follower(last=0, token="root")
    assert follower.next()[2]["specversion"] == "1.0"
    follower.close()


try:
    globals()[PART]()
finally:
    if RECORD:
        Path(RECORD).mkdir(exist_ok=True)
        lines = (json.dumps(line) + "\n" for line in recorded)
        Path(RECORD, f"http-{PART}-{os.getpid()}.ndjson").write_text("".join(lines))
print("done")
