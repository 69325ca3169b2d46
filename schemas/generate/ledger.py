"""The commands that look back: the audit, explanations, counts; those on executions, and on members."""

from commands import IN_FLIGHT, EITHER, LIMIT, OPTIONS, REFERENCE, UNVERSIONED, paged, request
from parts import (
    NAME, NAMESPACE, TRIGGERS, array, boolean, choice, closed, identifier, instant, integer, named_id, nullable, number,
    ref, string, wanted_instant,
)
from replies import WAITING, WARNINGS

HASH = string("SHA-256", pattern="^[0-9a-f]{64}$")
LINK = closed({"sequence": integer("the place in the chain", 0), "hash": HASH})
COUNTS = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
# As REHEARSAL's, but for long values.
CHANGES = array(closed({
    "pointer": string("a JSON Pointer into before and after"),
    "from": {"description": "null where it was not there"}, "from_bytes": integer("in place of a long one", 0),
    "to": {"description": "null where it is there no more"}, "to_bytes": integer("in place of a long one", 0),
}, ["from", "from_bytes", "to", "to_bytes"]), "the fields that are others")
ENTRY = closed({
    "id": integer("", 1), "at": instant(), "namespace": string(), "action": string("created, updated, …"),
    "schedule_id": identifier(), "name": string("of what was changed"), "version": integer("", 1), "actor": string(),
    "reason": string(), "request_id": string(), "sequence": integer("the place in the chain, once sealed", 1),
    "hash": HASH, "changes": CHANGES, "before": {"description": "with full"}, "after": {"description": "with full"},
}, ["schedule_id", "name", "version", "actor", "reason", "request_id", "sequence", "hash", "changes", "before", "after"])

VERDICTS = ["fired", "late", "fired_more_than_once", "skipped", "dead", "cancelled", "open", "overdue", "held",
            "in_the_future", "not_an_occurrence", "exhausted", "lost_to_retention", "unexplained"]
EXPLANATION = closed({
    "at": instant("the moment that was asked about"), "schedule_id": identifier(), "schedule_name": NAME,
    "occurrence": instant("the one that is meant"), "due_at": instant(), "verdict": choice(*VERDICTS),
    "sentences": array(string(), "for people"), "executions": array(ref("execution")),
}, ["occurrence", "due_at"])

STEP_SECONDS = integer("", 1, 86_400)
QUANTILES = {"anyOf": [{"type": "null"}, closed({"p50": number(), "p90": number(), "p99": number(), "max": number()})]}
STATS = closed({
    "schedule_id": identifier(), "schedule_name": NAME, "target_command": string(), "window_seconds": integer("", 1),
    "from": instant("where the counts begin"), "to": instant(),
    "complete": boolean("false: they begin later than the window, which has too many rows"), "total": integer("", 0),
    "outcomes": COUNTS, "skipped": COUNTS | {"description": "by reason"}, "triggers": COUNTS,
    "success_rate": {"description": "null where nothing ended", "type": ["number", "null"]},
    "lateness_ms": QUANTILES | {"description": "from the due time to the publish"},
    "duration_ms": QUANTILES | {"description": "from the publish to the end, where it is tracked; else null"},
    "shadow_lateness_ms": QUANTILES | {"description": "from the due time to when a shadow would have published; else null"},
    "series": closed({
        "step_seconds": STEP_SECONDS,
        "steps": array(closed({
            "at": instant("where the step begins; whole since 1970"), "total": integer("", 1),
            "dead": integer("gave up", 0), "skipped": integer("", 0), "lateness_ms": QUANTILES}),
            "those without anything are left out", most=1500)}),
}, ["schedule_id", "schedule_name", "target_command", "series"])
WINDOW = {
    "window_seconds": integer("how long a time; within the history that is kept", 1, 2**40, default=86_400),
    "to": wanted_instant("where it ends; now where it is left out"),
    "step_seconds": STEP_SECONDS | {"description": "the same for each step of so long; at most 1500 of them"},
}
FORECAST = closed({
    "from": instant("where the first step begins; whole since 1970"), "to": instant("exclusive"),
    "step_seconds": STEP_SECONDS,
    "complete": boolean("with the pages before it, all schedules are counted as a whole"),
    "schedules": integer("that were looked at, whatever their state", 0),
    "expanded": integer("of these, the ones whose fires were counted", 0),
    "unforeseen": integer("those that messages drive", 0),
    "cut": integer("those of which only the first fires were counted", 0),
    "fires": integer("in all steps", 0),
    "steps": array(closed({"at": instant(), "fires": integer("", 1)}), "those without fires are left out", most=1500),
})
AHEAD = {
    "window_seconds": integer("how far ahead", 1, 604_800, default=86_400),
    "step_seconds": STEP_SECONDS | {"description": "a minute where it is left out, or as many as give 1500 steps"},
    "limit": integer("schedules that are looked at, at most", 1, 10_000, default=1000),
    "cursor": string("a next_cursor of a forecast, whose time and steps hold", most=128)}
TIMELINE_ENTRY = {"oneOf": [
    closed({"at": instant("the occurrence"), "kind": {"const": "execution"}, "execution": ref("execution")}),
    closed({"at": instant("the occurrence"), "kind": {"const": "waiting"}, "due_at": instant(),
            "execution_id": identifier("that it will have"), "trigger": choice(*TRIGGERS)},
           text="due, and without a place among those that may be open"),
    closed({"at": instant("the occurrence"), "kind": {"const": "fire"}, "due_at": instant()}, text="to come")]}
TIMELINE = closed({
    "schedule_id": identifier(), "schedule_name": NAME, "state": choice("active", "paused", "exhausted", "invalid"),
    "now": instant(), "entries": array(TIMELINE_ENTRY, "in the order of their occurrences"),
})

BACKFILL = closed({
    "schedule_id": identifier(), "from": instant(), "to": instant(), "count": integer("executions that it made", 0),
    "waiting": integer("of these, the ones that wait for a place", 0),
    "remaining": integer("occurrences that it left", 0), "next_from": instant("where another one begins"),
    "execution_ids": array(identifier(), "the first of them", most=100),
}, ["next_from", "execution_ids"])

NAMED = {"schedule_id": identifier(), "schedule_name": string(), "namespace": string()}
PROBLEM = closed(NAMED | {
    "kind": choice("missing", "double", "open", "overdue", "unexplained", "miscounted", "identity"),
    "generation": integer("of the schedule's timing"), "from": instant("the first occurrence"),
    "through": instant("the last one"), "count": integer("occurrences", 0), "execution_id": identifier(),
    "description": string(),
}, ["execution_id"])
UNPROVED = closed(NAMED | {
    "reason": choice("history_not_kept", "definition_unknown", "definition_unreadable", "zone_rules_changed",
                     "calendar_changed", "restored", "invalid"),
    "from": instant(), "through": instant(), "count": integer("occurrences, where they can be told", 0),
    "description": string(),
}, ["schedule_id", "schedule_name", "namespace", "count"])
LEDGER = closed({
    "ok": boolean("nothing is wrong"), "complete": boolean("all that was asked for was looked at"),
    "from": instant("what was looked at"), "to": instant("exclusive"),
    "schedules": integer("", 0), "rows": integer("", 0),
    "occurrences": integer("that had to be accounted for", 0), "ended": integer("of them", 0),
    "open": integer("rows that have not ended, and need not have yet", 0),
    "waiting": integer("occurrences that passed while a schedule stands still", 0),
    "commanded": integer("rows of triggers, backfills and retries, and of what messages and absences fired", 0),
    "problems": array(PROBLEM), "unproved": array(UNPROVED),
})
VERIFIED = closed({"ledger": LEDGER, "audit": closed({
    "ok": boolean(), "complete": boolean("all that was asked for was looked at"), "checked": integer("", 0),
    "through": integer("", 0), "late": integer("", 0), "unsealed": integer("", 0), "head": LINK, "anchor": LINK,
    "known": choice("found", "another", "not_kept"),
    "broken": closed({"sequence": integer(), "id": integer("", 0),
                      "problem": choice("missing", "altered", "outside", "truncated", "unknown"),
                      "description": string()}, ["id"]),
}, ["known", "broken"])}, ["ledger", "audit"])
MEMBER = closed({
    "instance": identifier(), "name": string(), "started_at": instant(), "lease": choice("held", "silent"),
    "partitions": integer("of 256", 0, 256), "answering": boolean("the one that says so"),
})
FORCE = boolean("although a freeze holds, or as many are open as may be", default=False)
AUDITED = {
    "schedule_id": named_id("of one schedule; of a deleted one too"), "schedule_name": NAME,
    "action": string(most=64), "actor": string(most=256), "request_id": string(most=128),
    "from": wanted_instant(""), "to": wanted_instant(""), "limit": LIMIT,
    "full": boolean("before and after as a whole", default=False), "cursor": string(most=64),
}
LETTER = closed({
    "sequence": integer("the place in the stream", 1), "subject": string(),
    "stored_at": string("RFC 3339, by the server's clock", format="date-time"),
    "execution": ref("execution"), "target_command": string(),
    "delivery": choice("jetstream", "core", "request"), "payload_sha256": HASH, "payload_bytes": integer("", 0),
}, ["execution", "target_command", "delivery", "payload_sha256", "payload_bytes"])
EXECUTION_ID = {"id": named_id("the execution's")}

# `admin.system.verify`: `from` and `to` are places of the chain for the one, times for the other.
BOUND = {"description": "a place in the chain, or an instant", "type": ["integer", "string", "null"]}
EITHER_BOUND = {"from": BOUND, "to": BOUND}
VERIFY_AUDIT = EITHER_BOUND | {
    "limit": integer("entries, or rows and schedules, at most", 1, 50_000, default=10_000), "cursor": string(most=160),
    "known_sequence": integer("a head that was kept outside", 0, 2**63 - 1),
    "known_hash": string(pattern="^[0-9a-fA-F]{64}$")}
VERIFY_LEDGER = EITHER_BOUND | {
    "limit": VERIFY_AUDIT["limit"], "cursor": VERIFY_AUDIT["cursor"],
    "namespace": string("only its schedules", pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"),
    "schedule_id": named_id("only this schedule; needs the namespace"), "schedule_name": NAME}
WINDOW_OF_TIME = wanted_instant("")
WINDOW_OF_PLACES = integer("", 1, 2**63 - 1)
NOT_IN_LEDGER = ["known_sequence", "known_hash"]
NOT_IN_AUDIT = ["namespace", "schedule_id", "schedule_name"]


def only(fields, others, bound):
    """The fields of one of the two checks: none of the other's, and the bounds in its own terms."""
    return {"properties": {name: False for name in others} | {
        "from": nullable(bound), "to": nullable(bound)}}


COMMANDS = {
    "schedule.backfill": (
        request(REFERENCE | {
            "from": wanted_instant("the first instant to fire again"), "to": wanted_instant("now where it is left out"),
            "limit": integer("executions at most", 1, 1000, default=100), "force": FORCE},
            ["from"], options=OPTIONS, **EITHER),
        {"backfill": BACKFILL}, []),
    "schedule.explain": (
        request(REFERENCE | {"at": wanted_instant("the moment to explain")}, ["at"], **EITHER),
        {"warnings": WARNINGS, "explanation": EXPLANATION}, ["warnings"]),
    "schedule.stats": (request(REFERENCE | WINDOW, **EITHER), {"stats": STATS}, []),
    "schedule.timeline": (
        request(REFERENCE | {"past": integer("executions at most", 1, 500, default=20),
                             "coming": integer("fires at most", 0, 500, default=20)}, **EITHER),
        {"timeline": TIMELINE, "next_cursor": string("where execution.list goes on, into the past")}, ["next_cursor"]),
    "schedule.forecast": (
        request(AHEAD), {"forecast": FORECAST, "next_cursor": string("where the next page begins")}, ["next_cursor"]),
    "execution.stats": (
        request({"schedule_id": named_id("of one schedule"), "schedule_name": NAME,
                 "target_command": string("of schedules with this target")} | WINDOW),
        {"stats": STATS}, []),
    "execution.cancel": (request(EXECUTION_ID, ["id"], options=UNVERSIONED), {"execution": ref("execution")}, []),
    "execution.retry": (
        request(EXECUTION_ID | {"force": FORCE}, ["id"], options=UNVERSIONED),
        {"execution": ref("execution"), "waiting": WAITING}, ["execution", "waiting"]),
    "audit.list": (request(AUDITED), paged("entries", ENTRY), ["next_cursor"]),
    "admin.audit.list": (
        request(AUDITED | {
            "namespace": string("whose; everybody's where it is left out",
                                pattern="^([A-Za-z0-9][A-Za-z0-9_-]{0,63}|_system)$")},
            **{"if": {"required": ["schedule_name"], "properties": {"schedule_name": {"not": {"type": "null"}}}},
               "then": {"required": ["namespace"], "properties": {"namespace": {"not": {"type": "null"}}}}}),
        paged("entries", ENTRY), ["next_cursor"]),
    "admin.dlq.list": (
        request({"namespace": NAMESPACE | {"description": "whose; everybody's where it is left out"},
                 "schedule_id": named_id("of one schedule"), "limit": LIMIT,
                 "cursor": string("a next_cursor", most=32)}),
        paged("letters", LETTER), ["next_cursor"]),
    "admin.dlq.redrive": (
        request(EXECUTION_ID | {"force": FORCE}, ["id"], options=UNVERSIONED),
        {"execution": ref("execution"), "waiting": WAITING, "in_flight": IN_FLIGHT},
        ["execution", "waiting", "in_flight"]),
    "admin.system.forecast": (
        request({"namespace": NAMESPACE | {"description": "whose; everybody's where it is left out"}} | AHEAD),
        {"forecast": FORECAST, "next_cursor": string("where the next page begins")}, ["next_cursor"]),
    "admin.system.members": (request({}), {"members": array(MEMBER)}, []),
    "admin.system.drain": (
        request({"instance": string("its id or name; the one that answers where it is left out", most=256)},
                options=UNVERSIONED),
        {"instance": closed({"instance": identifier(), "name": string(), "state": choice("draining")})}, []),
    "admin.system.verify": (
        request({"check": choice("audit", "ledger", default="audit"), **VERIFY_AUDIT, **VERIFY_LEDGER},
                dependencies={"known_sequence": ["known_hash"], "known_hash": ["known_sequence"]},
                **{"if": {"required": ["check"], "properties": {"check": {"const": "ledger"}}},
                   "then": only(VERIFY_LEDGER, NOT_IN_LEDGER, WINDOW_OF_TIME),
                   "else": only(VERIFY_AUDIT, NOT_IN_AUDIT, WINDOW_OF_PLACES)}),
        {"verified": VERIFIED, "next_cursor": string()}, ["next_cursor"]),
}
