"""The commands that look back: the audit, explanations, counts; those on executions, and on members."""

from commands import EITHER, LIMIT, OPTIONS, REFERENCE, UNVERSIONED, paged, request
from parts import (
    NAME, array, boolean, choice, closed, identifier, instant, integer, named_id, number, ref, string,
    wanted_instant,
)
from replies import WARNINGS

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

STATS = closed({
    "schedule_id": identifier(), "schedule_name": NAME, "window_seconds": integer("", 1), "from": instant(),
    "to": instant(), "total": integer("", 0), "outcomes": COUNTS, "skipped": COUNTS | {"description": "by reason"},
    "triggers": COUNTS, "success_rate": {"description": "null where nothing ended", "type": ["number", "null"]},
    "lateness_ms": {"anyOf": [{"type": "null"}, closed(
        {"p50": number(), "p90": number(), "p99": number(), "max": number()})]},
}, ["schedule_id", "schedule_name"])
WINDOW = integer("how far back; within the history that is kept", 1, 2**40, default=86_400)

BACKFILL = closed({
    "schedule_id": identifier(), "from": instant(), "to": instant(), "count": integer("executions that it made", 0),
    "remaining": integer("occurrences that it left", 0), "next_from": instant("where another one begins"),
    "execution_ids": array(identifier(), "the first of them", most=100),
}, ["next_from", "execution_ids"])

VERIFIED = closed({"audit": closed({
    "ok": boolean(), "complete": boolean("all that was asked for was looked at"), "checked": integer("", 0),
    "through": integer("", 0), "late": integer("", 0), "unsealed": integer("", 0), "head": LINK, "anchor": LINK,
    "known": choice("found", "another", "not_kept"),
    "broken": closed({"sequence": integer(), "id": integer("", 0),
                      "problem": choice("missing", "altered", "outside", "truncated", "unknown"),
                      "description": string()}, ["id"]),
}, ["known", "broken"])})
MEMBER = closed({
    "instance": identifier(), "name": string(), "started_at": instant(), "lease": choice("held", "silent"),
    "partitions": integer("of 256", 0, 256), "answering": boolean("the one that says so"),
})
FORCE = boolean("although a freeze holds", default=False)
AUDITED = {
    "schedule_id": named_id("of one schedule; of a deleted one too"), "schedule_name": NAME,
    "action": string(most=64), "actor": string(most=256), "request_id": string(most=128),
    "from": wanted_instant(""), "to": wanted_instant(""), "limit": LIMIT,
    "full": boolean("before and after as a whole", default=False), "cursor": string(most=64),
}
EXECUTION_ID = {"id": named_id("the execution's")}

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
    "schedule.stats": (request(REFERENCE | {"window_seconds": WINDOW}, **EITHER), {"stats": STATS}, []),
    "execution.stats": (
        request({"schedule_id": named_id("of one schedule"), "schedule_name": NAME, "window_seconds": WINDOW}),
        {"stats": STATS}, []),
    "execution.cancel": (request(EXECUTION_ID, ["id"], options=UNVERSIONED), {"execution": ref("execution")}, []),
    "execution.retry": (
        request(EXECUTION_ID | {"force": FORCE}, ["id"], options=UNVERSIONED), {"execution": ref("execution")}, []),
    "audit.list": (request(AUDITED), paged("entries", ENTRY), ["next_cursor"]),
    "admin.audit.list": (
        request(AUDITED | {
            "namespace": string("whose; everybody's where it is left out",
                                pattern="^([A-Za-z0-9][A-Za-z0-9_-]{0,63}|_system)$")},
            **{"if": {"required": ["schedule_name"], "properties": {"schedule_name": {"not": {"type": "null"}}}},
               "then": {"required": ["namespace"], "properties": {"namespace": {"not": {"type": "null"}}}}}),
        paged("entries", ENTRY), ["next_cursor"]),
    "admin.system.members": (request({}), {"members": array(MEMBER)}, []),
    "admin.system.drain": (
        request({"instance": string("its id or name; the one that answers where it is left out", most=256)},
                options=UNVERSIONED),
        {"instance": closed({"instance": identifier(), "name": string(), "state": choice("draining")})}, []),
    "admin.system.verify": (
        request({"from": integer("a place in the chain", 1, 2**63 - 1), "to": integer("", 1, 2**63 - 1),
                 "limit": integer("entries at most", 1, 50_000, default=10_000),
                 "known_sequence": integer("a head that was kept outside", 0, 2**63 - 1),
                 "known_hash": string(pattern="^[0-9a-fA-F]{64}$"), "cursor": string(most=128)},
                dependencies={"known_sequence": ["known_hash"], "known_hash": ["known_sequence"]}),
        {"verified": VERIFIED, "next_cursor": string()}, ["next_cursor"]),
}
