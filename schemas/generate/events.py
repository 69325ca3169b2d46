"""Each event: CloudEvents 1.0, structured JSON, with what its `data` holds."""

from parts import (
    NAME, NAMESPACE, SKIP_REASONS, TRIGGERS, UUID, boolean, choice, closed, identifier, instant, integer, ref, string,
)

REPORT_KINDS = ["started", "heartbeat", "succeeded", "failed"]

EXECUTION_DATA = {
    "execution_id": identifier(), "schedule_id": identifier(), "schedule_name": NAME, "namespace": NAMESPACE,
    "status": string(), "scheduled_for": instant(), "due_at": instant(),
    "fired_at": instant("of a shadow: when it would have been"),
    "lateness_ms": integer("fired_at after due_at"), "attempt": integer("0 where nothing was sent", 0),
    "fence": integer("", 0), "trigger": choice(*TRIGGERS), "reason": string(),
    "outcome": string("uncertain where a copy may have been sent"),
    "missed_count": integer("occurrences that this one stands for", 1),
    "payload_sha256": string(pattern="^[0-9a-f]{64}$"),
}
EXECUTION_OPTIONAL = ["fired_at", "lateness_ms", "reason", "outcome", "missed_count", "payload_sha256"]

SCHEDULE_DATA = {
    "schedule_id": identifier(), "schedule_name": NAME, "namespace": NAMESPACE, "version": integer("", 1),
    "actor": string(), "reason": string(), "request_id": string(),
}
SCHEDULE_OPTIONAL = ["version", "actor", "reason", "request_id"]

SYSTEM_DATA = {"instance": identifier(), "instance_name": string(), "detail": string()}


# What became of a submitted command: what it did, or why not.
OUTCOME_DATA = SCHEDULE_DATA | {
    "namespace": string("_system where the subject names none that a creator may have",
                        pattern="^([A-Za-z0-9][A-Za-z0-9_-]{0,63}|_system)$"),
    "request_id": string("the body's, else the Nats-Msg-Id, else the stream's creation time and the sequence"),
    "noun": string(), "verb": string(), "command_subject": string("what it was published on"),
    "stream_sequence": integer("its place in the stream of commands", 1),
}
OUTCOME_OPTIONAL = ["schedule_id", "schedule_name", "version", "actor", "reason", "noun", "verb"]


def outcome(text, without=(), **what):
    data = {name: schema for name, schema in OUTCOME_DATA.items() if name not in without} | what
    optional = [name for name in OUTCOME_OPTIONAL if name not in without]
    attributes = {"causationid": string("the request_id of the command"),
                  "correlationid": string("the request_id, or what stands for it")}
    return text, attributes, closed(data, optional)


def execution(text, status, required=(), **changed):
    data = EXECUTION_DATA | {"status": {"const": status}} | changed
    optional = set(EXECUTION_OPTIONAL) - set(required)
    attributes = {"correlationid": identifier("the execution's id"),
                  "causationid": identifier("the execution whose end made this one")}
    return text, attributes, closed(
        data, [name for name in data if name in optional or name in ("range_from", "count")])


def schedule(text, **changed):
    return (text, {"causationid": string("the request_id of the command"), "correlationid": string()},
            closed(SCHEDULE_DATA | changed, SCHEDULE_OPTIONAL))


def system(text):
    return text, {}, closed(SYSTEM_DATA)


# family.event: (what it tells, its further attributes, its data)
EVENTS = {
    "schedule.created": schedule("A schedule was made."),
    "schedule.updated": schedule("A schedule was changed."),
    "schedule.paused": schedule("A schedule was paused."),
    "schedule.resumed": schedule("A schedule was resumed."),
    "schedule.deleted": schedule("A schedule was deleted."),
    "schedule.exhausted": schedule("A schedule has nothing more to do."),
    "schedule.invalidated": schedule("A schedule cannot fire; reason says why."),
    "schedule.times_removed": schedule(
        "A jump of the clocks leaves out local times that match a schedule's expression: they are no occurrences. "
        "`reason` names them."),
    "schedule.absent": schedule("No message came by the deadline of an absence; reason names the subject and the deadline."),
    "schedule.command_accepted": outcome(
        "A submitted command was carried out; its changes are told by their own events.", effect=choice(
            "applied", "repeated", "rehearsed", text="repeated: the same request_id was carried out before")),
    "schedule.command_rejected": outcome(
        "A submitted command was refused; error says why.",
        ["schedule_id", "schedule_name", "version", "reason"], error=ref("error")),
    "execution.delivered": execution(
        "Acknowledged by the target's stream, or flushed to a core target.", "delivered"),
    "execution.running": execution("The worker said that it began.", "running"),
    "execution.succeeded": execution("The worker, or its reply, said that it is done.", "succeeded"),
    "execution.failed": execution("An attempt failed; reason says why.", "failed", ["reason"]),
    "execution.timed_out": execution(
        "An attempt did not begin, gave no sign of life or did not end in time; reason says which.", "timed_out",
        ["reason"]),
    "execution.retrying": execution(
        "Another attempt follows the one that failed or timed out.", "retrying", ["reason"],
        retry_at=instant("when the next attempt is due")),
    "execution.report_problem": (
        "A worker's report could not be taken as it was sent; error says why. With counted it holds all the same, "
        "without what the error names.",
        {"correlationid": string("the execution's id")}, closed({
            "execution_id": identifier(), "schedule_id": identifier(),
            "namespace": string("_system where the subject names none that a creator may have",
                                pattern="^([A-Za-z0-9][A-Za-z0-9_-]{0,63}|_system)$"),
            "report": choice(*REPORT_KINDS), "report_subject": string("what it was published on"),
            "fence": integer("the report's", 1), "counted": boolean(), "error": ref("error"),
        }, ["execution_id", "schedule_id", "report", "fence"])),
    "execution.dead": execution("Given up; reason says why.", "dead", ["reason"]),
    "execution.cancelled": execution(
        "Given up by a command, or with its schedule; reason says why.", "cancelled", ["reason"]),
    "execution.skipped": execution(
        "Not fired; reason says why. A long run is one event: range_from to scheduled_for, count of them. With the reason "
        "shadow it came to its time, fired_at, and was not published.", "skipped",
        ["reason"], reason=choice(*SKIP_REASONS), range_from=instant(), count=integer("", 2)),
    "system.started": system(
        "A process started and joined; told once a process, while member_joined is told for each time it joins."),
    "system.stopping": system("An instance leaves in good order."),
    "system.member_joined": system("An instance joined."),
    "system.member_lost": system("An instance did not renew its lease and was fenced."),
    "system.clock_skew": system("PostgreSQL's clock jumped."),
    "system.tzdata_changed": system(
        "The machine's zone data changed while the service ran, or before it started; the next fires of zoned "
        "schedules were computed again."),
    "system.audit_sealed": system("The head of the audit's chain of hashes, to be kept outside; detail names it."),
}


def event_schema(name):
    """One event's schema, without `$schema` and `$id`."""
    text, further, data = EVENTS[name]
    family, event = name.split(".")
    kind = f"io.carillon.{family}.v1.{event}"
    subject = identifier("the instance" if family == "system" else "the schedule")
    if "error" in data["properties"] or "effect" in data["properties"]:
        subject = string("the schedule; _ where there is none", pattern=f"^({UUID}|_)$")
    attributes = {
        "specversion": {"const": "1.0"}, "id": identifier("the same in every publication; also the Nats-Msg-Id"),
        "source": string("/carillon/<group>", pattern="^/carillon/"), "type": {"const": kind}, "subject": subject,
        "time": instant(), "datacontenttype": {"const": "application/json"},
        "dataschema": {"const": f"carillon:schemas/events/{name}.v1.json"},
        "sequence": string("orders the events of one schedule, compared as text",
                           pattern="^[0-9]{20}\\.[0-9]{4}$"),
    } | further | {
        "traceparent": string("of the command that asked for it", pattern="^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
        "tracestate": string(),
        "data": data,
    }
    return {"title": kind} | closed(attributes, [*further, "traceparent", "tracestate"], text)


HEADERS = {
    "title": "headers of a fired message",
    **closed({
        "Nats-Msg-Id": string("<execution id>.<attempt>: JetStream drops a re-publication",
                              pattern=f"^{UUID}\\.[1-9][0-9]*$"),
        "Scheduler-Execution-Id": identifier(), "Scheduler-Schedule-Id": identifier(),
        "Scheduler-Schedule-Name": NAME, "Scheduler-Namespace": NAMESPACE,
        "Scheduler-Attempt": string("1, 2, …", pattern="^[1-9][0-9]*$"), "Scheduler-Scheduled-For": instant(),
        "Scheduler-Trigger": choice(*TRIGGERS),
        "Scheduler-Fence": string("belongs to the attempt, grows per schedule", pattern="^[1-9][0-9]*$"),
        "Scheduler-Missed-Count": string("of a catch-up only", pattern="^[1-9][0-9]*$"),
        "Scheduler-Status-Subject": string(
            "of tracked executions: where the worker reports, with .started, .heartbeat, .succeeded or .failed, and "
            "is asked to stop, with .cancel", pattern=f"^[a-z0-9_-]+\\.run\\.[A-Za-z0-9_-]+\\.{UUID}$"),
        "Scheduler-Deadline": instant("of tracked executions: when the attempt shall have ended"),
        "Content-Type": {"const": "application/json"},
        "traceparent": string("W3C trace context", pattern="^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
        "tracestate": string("of the command that asked for it"),
    }, ["Scheduler-Missed-Count", "Scheduler-Status-Subject", "Scheduler-Deadline", "tracestate"], "The user's own headers follow, with other names."),
    "additionalProperties": {"type": "string"},
}
