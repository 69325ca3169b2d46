"""What replies hold: the error, an execution, a freeze, and the state of the system."""

from parts import (
    NAME, NAMESPACE, TRIGGERS, array, boolean, choice, closed, identifier, instant, integer, number, ref, string,
)
from definition import CALENDAR, SCHEDULE

ERROR = closed({
    "code": integer("the class of the error, as HTTP has them", 400, 599),
    "err_code": integer("a stable number of docs/errors.md", 10_000, 59_999),
    "description": string("for people; no program may depend on it", least=1),
    "retry_after_seconds": number("when asking again may help", 0),
    "details": array(closed({"pointer": string("a JSON Pointer into the request"), "message": string(least=1)}),
                     "every problem of the body, each with its place", most=101, least=1),
}, ["retry_after_seconds", "details"], "why not; the presence of this member is the one test of failure")

STATUSES = ["claimed", "delivered", "running", "retry_wait", "succeeded", "dead", "skipped", "cancelled"]

EXECUTION = closed({
    "id": identifier("UUIDv8 of the occurrence: the same on every instance"), "schedule_id": identifier(),
    "schedule_name": NAME, "namespace": NAMESPACE, "status": choice(*STATUSES),
    "reason": string("why it is skipped or dead"), "outcome": string("uncertain where a copy may have been sent"),
    "last_outcome": string(), "origin": choice("time", "manual", "backfill", "after", "event", "retry"),
    "trigger": choice(*TRIGGERS), "retry_of": identifier("the execution that it takes up again"),
    "caused_by": identifier("the execution whose end made it"),
    "scheduled_for": instant(), "due_at": instant(),
    "attempt": integer("0 where nothing was sent", 0), "fence": integer("grows with each attempt of the schedule", 0),
    "generation": integer("grows with each edit of the timing", 1), "schedule_version": integer("", 1),
    "missed_count": integer("occurrences that this one stands for", 1), "claimed_at": instant(),
    "fired_at": instant("of a shadow (skipped/shadow): when it would have been"),
    "lateness_ms": integer("fired_at after due_at"),
    "tracked": {"description": "its target tells how it ends", "const": True},
    "started_at": instant("when the worker of the last attempt said that it began"),
    "deadline": closed({"kind": choice("start", "run", "heartbeat", "retry", "cancel"), "at": instant()},
                       text="what comes of it by itself, and when, while it is open"),
    "progress": {"description": "the worker's, while it is open; of one that is shown alone"},
    "result": {"description": "the worker's; of one that is shown alone"}, "finished_at": instant(),
    "range_from": instant("of a run of skips: the first; scheduled_for is the last"),
    "count": integer("how many are in the run", 1), "ack_stream": string(), "ack_sequence": integer("", 0),
}, ["reason", "outcome", "last_outcome", "retry_of", "caused_by", "missed_count", "fired_at", "lateness_ms", "tracked",
    "started_at", "deadline", "progress", "result", "finished_at", "range_from", "count", "ack_stream", "ack_sequence"])

FREEZE = closed({
    "id": identifier(), "state": choice("active", "planned", "ended"), "namespace": NAMESPACE,
    "target": string("a subject, with * and > as NATS has them"), "from": instant(), "until": instant("exclusive"),
    "mode": choice("defer", "skip"), "release_per_second": number("", 0), "reason": string(), "actor": string(),
    "created_at": instant(),
}, ["namespace", "target", "reason", "actor"])

WAITING = closed({
    "execution_id": identifier("that the execution will have"), "schedule_id": identifier(), "schedule_name": NAME,
    "scheduled_for": instant(), "trigger": choice(*TRIGGERS), "ahead": integer("how many wait before it", 0),
}, (), "what was asked for waits until an execution before it has ended")

CONCURRENCY_USE = array(closed({
    "concurrency_key": string("with its namespace in front, where the reply is of all of them", least=1),
    "target": string("the subject of the allow-list's entry", least=1),
    "places": integer("missing where nobody bounds it any more", 1, 10_000), "open": integer("places that are held", 0),
    "waiting": integer("occurrences that need one", 0),
}, ["concurrency_key", "target", "places"]), most=100)

SYSTEM = closed({
    "ready": boolean(), "reasons": array(string("why it is not ready")), "warnings": array(string()), "instance": identifier(),
    "instance_name": string(), "time": instant("PostgreSQL's, as the instance knows it"), "clock_skew_ms": integer(),
    "members": array(closed({"instance": identifier(), "partitions": integer("of 256", 0, 256)})),
    "in_flight": integer("", 0), "unanswered": integer("", 0), "due_waiting": integer("", 0),
    "events_owed": integer("", 0), "lookahead_ms": integer("", 0), "overdue": integer("", 0),
    "claims": integer("", 0), "waiting": integer("occurrences that wait for a place", 0), "concurrency_use": CONCURRENCY_USE, "outbox_pending": integer("", 0),
    "commands_pending": integer("submitted, and not yet applied", 0),
    "commands_cursor": integer("the last one that was applied, in the stream", 0),
    "audit": closed({"sequence": integer("the head of the audit's chain", 0), "hash": string(pattern="^[0-9a-f]{64}$")}),
    "freezes": array(ref("freeze")),
    "schedules": {"description": "how many there are in each state", "type": "object",
                  "propertyNames": {"enum": ["active", "paused", "exhausted", "invalid", "deleted"]},
                  "additionalProperties": {"type": "integer", "minimum": 0}},
}, ["warnings", "commands_pending", "commands_cursor", "audit", "instance", "instance_name", "time", "clock_skew_ms", "members", "in_flight", "unanswered", "due_waiting",
    "events_owed", "lookahead_ms", "overdue", "claims", "waiting", "concurrency_use", "outbox_pending", "freezes", "schedules"])

ALLOWED = closed({
    "namespace": string("a namespace, or * for every one", pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]{0,63}|\*)$"),
    "subject": string("a subject, with * and > as NATS has them", least=1),
    "delivery": array(choice("core", "jetstream", "request")), "max_payload_bytes": integer("", 1),
    "max_in_flight": integer("tracked executions that are open on the subject at once", 1, 10_000),
    "payload_schema": {"description": "a JSON Schema (draft-07) that payloads must satisfy"},
    "source": choice("file", "command"), "created_at": instant(), "created_by": string(),
}, ["max_payload_bytes", "max_in_flight", "payload_schema", "source", "created_at", "created_by"])

FIRE = closed({
    "at": instant("the occurrence"), "moved_to": instant("when it is due, where that is another instant"),
    "local": string("on the schedule's clock", pattern="^[0-9-]{10}T[0-9:]{8}(\\.[0-9]{3})?$"),
    "dst": choice("gap", "repeat", None, text="moved to the end of a gap, or its local time comes twice"),
}, ["moved_to", "local", "dst"])

WARNINGS = array(closed({"pointer": string("a JSON Pointer into the request"), "message": string(least=1)}),
                 "what a requester should know, and what hinders nothing")
CHANGES = array(closed({"pointer": string("a JSON Pointer into the schedule"),
                        "from": {"description": "null where it was not there"},
                        "to": {"description": "null where it is there no more"}}), "the fields that are set")
# What a dry run tells besides.
REHEARSAL = {
    "dry_run": boolean("nothing was changed", const=True), "changes": CHANGES,
    "fires": closed({
        "before": array(instant(), most=100), "after": array(instant(), most=100), "before_count": integer("", 0),
        "after_count": integer("", 0), "added": integer("", 0), "removed": integer("", 0), "until": instant(),
        "truncated": boolean()}, text="the fires of the next 7 days as they are, and as they would be"),
}
COUNTS = {name: integer("", 0) for name in ["namespace", "target", "calendar", "freeze", "schedule"]}
EXPORT = closed({
    "format": integer("of the records", const=1), "exported_at": instant(),
    "counts": closed(COUNTS, (), "how many records there are of each kind"),
}, ["counts"])
OMITTED = closed({
    "kind": choice(*COUNTS), "key": string("the record's id, or what it is called"),
    "name": string("<namespace>/<name>"), "reason": string("why it is in no page", least=1),
}, ["name"])
IMPORT = closed({name: integer("", 0) for name in ["imported", "unchanged", "overwritten", "conflict"]})
RESTORED = closed({
    "kind": choice(*COUNTS), "key": string("the record's id, or what it is called"),
    "name": string("<namespace>/<name>"), "outcome": choice("overwritten", "conflict"),
    "reason": string("what is there"),
}, ["name", "reason"])

# Named here, written into each file that refers to them.
DEFINITIONS = {
    "error": ERROR, "schedule": SCHEDULE, "execution": EXECUTION, "calendar": CALENDAR, "freeze": FREEZE,
}
