"""Each command: the members of its request, and those of its reply to a success."""

from parts import (
    NAME, NAMESPACE, array, boolean, choice, closed, integer, named_id, nullable, number, record, ref, string,
    identifier, wanted_instant,
)
from definition import FIELDS, HOLIDAY, WEEKDAYS, timing_rules, wanted_fields
from replies import (
    COUNTS, EXPORT, FIRE, IMPORT, OMITTED, RESTORED, STATUSES, SYSTEM, WAITING, WARNINGS,
)

OPTIONS = {
    "request_id": string("remembered for 24 h with its reply", most=128, least=1),
    "actor": string("who wants it: for the audit, no authority", most=256),
    "reason": string("why: for the audit", most=1024),
    "if_version": integer("a 409 where the version is another", 1, 2**63 - 1),
    "dry_run": boolean("nothing changes; the reply holds what would", default=False),
}
# Of commands on what has no version.
UNVERSIONED = {name: schema for name, schema in OPTIONS.items() if name != "if_version"}
EITHER = {"anyOf": [{"required": ["id"], "properties": {"id": {"not": {"type": "null"}}}},
                    {"required": ["name"], "properties": {"name": {"not": {"type": "null"}}}}]}
REFERENCE = {"id": named_id("the schedule's; goes before its name"), "name": NAME}
LIMIT = integer("how many a page holds at most", 1, 1000, default=100)
IN_FLIGHT = array(identifier(), "what may fire yet all the same: executions")
PAGE = ["next_cursor"]


def request(fields, required=(), options=None, **more):
    """A request: what is not required may be null; `options` are those of changing commands (OPTIONS, UNVERSIONED)."""
    fields = fields | (options or {})
    return record({name: schema if name in required else nullable(schema) for name, schema in fields.items()},
                  required, **more)


# What a record holds depends on its kind and on the format that the export names: whoever keeps one hands it back whole.
RECORD = {"description": "one thing of the store, as docs/files.md tells", "type": "object", "required": ["kind"],
          "properties": {"kind": choice(*COUNTS)}, "additionalProperties": True}


def paged(name, items):
    return {name: array(items), "next_cursor": string("where the next page begins; absent on the last")}


SCHEDULE_REPLY = {"schedule": ref("schedule"), "warnings": WARNINGS, "in_flight": IN_FLIGHT}
IF_ANY = ["warnings", "in_flight"]
DELETED = closed({"id": identifier(), "state": choice("deleted")})

DEFINITION_OR_REFERENCE = {
    "if": {"required": ["schedule_type"], "properties": {"schedule_type": {"not": {"type": "null"}}}},
    "then": {"allOf": timing_rules()},
    "else": EITHER,
}

# name: (request, members of the reply, those of them that may be absent)
COMMANDS = {
    "schedule.create": (
        record(wanted_fields() | {"paused": nullable(boolean("the state to start in", default=False))}
               | {name: nullable(schema) for name, schema in UNVERSIONED.items()},
               ["schedule_type"], allOf=timing_rules()),
        {"schedule": ref("schedule"), "warnings": WARNINGS}, ["warnings"]),
    "schedule.get": (request(REFERENCE, **EITHER), {"schedule": ref("schedule")}, []),
    "schedule.update": (
        request({"id": REFERENCE["id"]} | FIELDS | {
            "paused": boolean("true pauses it, false resumes it; left out or null it stays as it is")},
            options=OPTIONS, **EITHER),
        SCHEDULE_REPLY | {"changed": boolean("false: it said that already, and nothing was done")}, IF_ANY),
    "schedule.resume": (
        request(REFERENCE | {"catch_up": boolean("what passed is made up by the misfire policy", default=False)},
                options=OPTIONS, **EITHER),
        SCHEDULE_REPLY, IF_ANY),
    "schedule.trigger": (
        request(REFERENCE | {"payload": {"description": "in place of command_payload"},
                             "force": boolean("although a freeze holds, or as many are open as may be", default=False)},
                options=OPTIONS, **EITHER),
        {"execution": ref("execution"), "waiting": WAITING}, ["execution", "waiting"]),
    "schedule.preview": (
        request({"id": REFERENCE["id"]} | FIELDS | {
            "from": wanted_instant("now where it is left out"),
            "count": integer("how many fires", 1, 1000, default=10),
            "paused": boolean("of a body for schedule.create: says nothing here"),
            **{name: string("says nothing here", most=1024) for name in ("request_id", "actor", "reason")}},
            **DEFINITION_OR_REFERENCE),
        {"timing": string("the recurrence in words"), "fires": array(FIRE, most=1000)}, []),
    "schedule.delete": (
        request(REFERENCE, options=OPTIONS, **EITHER), {"schedule": DELETED, "in_flight": IN_FLIGHT}, ["in_flight"]),

    "calendar.put": (
        request({"name": NAME, "working_days": WEEKDAYS | {"default": ["MON-FRI"]},
                 "holidays": array(HOLIDAY, most=2000, default=[]),
                 "ical": string("an iCalendar text: each VEVENT of whole days is one more holiday", most=524_288)},
                ["name"], options=OPTIONS),
        {"calendar": ref("calendar"), "in_flight": IN_FLIGHT}, ["in_flight"]),
    "calendar.get": (request({"name": NAME}, ["name"]), {"calendar": ref("calendar")}, []),
    "calendar.list": (
        request({"limit": LIMIT, "cursor": string("a next_cursor", most=128)}),
        paged("calendars", ref("calendar")), PAGE),
    "calendar.delete": (
        request({"name": NAME}, ["name"], options=OPTIONS),
        {"calendar": closed({"name": NAME, "deleted": boolean(const=True)})}, []),

    "execution.list": (
        request({"schedule_id": named_id("of one schedule"), "schedule_name": NAME, "status": choice(*STATUSES),
                 "limit": LIMIT, "cursor": string("a next_cursor", most=64)}),
        paged("executions", ref("execution")), PAGE),
    "execution.get": (
        request({"id": named_id("the execution's")}, ["id"]), {"execution": ref("execution")}, []),

    "admin.system.status": (request({}), {"system": SYSTEM}, []),
    "admin.freeze.set": (
        request({
            "id": named_id("the freeze to replace; a new one where it is left out"),
            "namespace": NAMESPACE | {"description": "whose fires; everybody's where it is left out"},
            "target": string("fires on these subjects; on all where it is left out", most=255, least=1,
                             pattern=r"^[!-~]+$"),
            "from": wanted_instant("now where it is left out"), "until": wanted_instant("exclusive; within 366 days"),
            "mode": choice("defer", "skip", default="defer"),
            "release_per_second": number("held schedules that are released a second", 0.01, 100_000, default=100)},
            ["until"], options=UNVERSIONED),
        {"freeze": ref("freeze")}, []),
    "admin.data.export": (
        request({"limit": integer("how many records a page holds at most", 1, 1000, default=500),
                 "cursor": string("a next_cursor", most=512),
                 "namespace": NAMESPACE | {"description": "whose; everybody's where it is left out"}}),
        {"export": EXPORT, "records": array(RECORD), "omitted": array(OMITTED),
         "next_cursor": string("where the next page begins; absent on the last")}, PAGE),
    "admin.data.import": (
        request({"records": array(RECORD, "as an export has them", most=1000),
                 "overwrite": boolean("what says something else becomes as it is here", default=False)},
                ["records"], options=UNVERSIONED),
        {"import": IMPORT, "results": array(RESTORED, "what was overwritten, and conflicts"), "in_flight": IN_FLIGHT},
        ["in_flight"]),
    "admin.freeze.list": (request({}), {"freezes": array(ref("freeze"))}, []),
    "admin.freeze.clear": (
        request({"id": named_id("the freeze's")}, ["id"], options=UNVERSIONED), {"freeze": ref("freeze")}, []),
}
