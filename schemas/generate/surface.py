"""The commands on many schedules, and on definitions: put, validate, bulk_create, bulk, list."""

from commands import EITHER, IF_ANY, IN_FLIGHT, LIMIT, OPTIONS, REFERENCE, SCHEDULE_REPLY, UNVERSIONED, paged, request
from definition import REQUIRED, timing_rules, wanted_fields
from parts import (
    NAME, array, boolean, choice, closed, identifier, instant, integer, named_id, nullable, record, ref, string,
    wanted_instant,
)
from replies import CHANGES, WARNINGS

STATES = choice("active", "paused", "exhausted", "invalid")
PAUSED = {"paused": nullable(boolean("the state to start in", default=False))}


def one_or_more(item, text=""):
    """One, or a list of 1 to 32."""
    return {"description": text, "anyOf": [item, array(item, most=32, least=1)]}


CONDITIONS = {
    "state": one_or_more(STATES, "any of these"), "tag": one_or_more(string(most=64), "any of these"),
    "tags_all": one_or_more(string(most=64), "each of these"),
    "target_command": string("a subject, with * and > as NATS has them", most=255, least=1),
    "name_prefix": string(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"),
    "due_before": wanted_instant("its next fire lies before"),
}
SORT = choice("created_at", "-created_at", "name", "-name", "next_fire_at", "-next_fire_at", default="created_at")
CURSOR = string("a next_cursor of the same list", most=512)

DEFINITION = record(wanted_fields() | PAUSED, REQUIRED, allOf=timing_rules())
ITEMS = array(DEFINITION, "each as schedule.create takes it", most=1000, least=1)
BULK_OPTIONS = {name: nullable(schema) for name, schema in UNVERSIONED.items()}
NAMED = record(wanted_fields([*REQUIRED, "name"]) | PAUSED | {
    name: nullable(schema) for name, schema in OPTIONS.items()}, [*REQUIRED, "name"], allOf=timing_rules())

CREATED = closed({"id": identifier(), "name": NAME, "version": integer("", 1), "state": STATES,
                  "next_fire_at": instant()}, ["next_fire_at"])
CREATE_RESULT = {"oneOf": [closed({"index": integer("", 0), "schedule": CREATED}),
                           closed({"index": integer("", 0), "error": ref("error")})]}
RECEIPT = {"oneOf": [
    closed({"id": identifier(), "name": NAME,
            "outcome": choice("paused", "resumed", "deleted", "triggered", "unchanged"),
            "execution_id": identifier("of a trigger"), "dry_run": boolean(const=True), "changes": CHANGES},
           ["execution_id", "dry_run", "changes"]),
    closed({"id": identifier(), "name": NAME, "error": ref("error")}, ["id", "name"])]}
CHOICES = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in ("ids", "names", "filter")]

COMMANDS = {
    "schedule.put": (
        NAMED,
        SCHEDULE_REPLY | {"changed": boolean(), "outcome": choice("unchanged", "created", "updated")}, IF_ANY),
    "schedule.validate": (
        {"type": "object", "if": {"required": ["schedules"], "properties": {"schedules": {"not": {"type": "null"}}}},
         "then": record({"schedules": ITEMS} | {name: nullable(schema) for name, schema in UNVERSIONED.items()},
                        ["schedules"]),
         "else": record(DEFINITION["properties"] | {"schedules": {"type": "null"}} | {
             name: nullable(schema) for name, schema in UNVERSIONED.items()}, REQUIRED, allOf=timing_rules())},
        {"valid": boolean(const=True), "schedule": ref("schedule"), "schedules": array(closed(
            {"index": integer("", 0), "name": NAME, "next_fire_at": instant()}, ["next_fire_at"])),
         "warnings": WARNINGS}, ["schedule", "schedules"]),
    "schedule.list": (
        request(CONDITIONS | {"sort": SORT, "limit": LIMIT, "cursor": CURSOR}),
        paged("schedules", ref("schedule")), ["next_cursor"]),
    "schedule.pause": (
        request(REFERENCE | {"until": wanted_instant("when it goes on by itself")}, options=OPTIONS, **EITHER),
        SCHEDULE_REPLY, IF_ANY),
    "schedule.bulk_create": (
        record({"schedules": ITEMS, "atomic": nullable(boolean("all or none", default=False))} | BULK_OPTIONS,
               ["schedules"]),
        {"created": integer("", 0), "failed": integer("", 0), "results": array(CREATE_RESULT, most=1000)}, []),
    "schedule.bulk": (
        record({
            "operation": choice("pause", "resume", "delete", "trigger"),
            "until": nullable(wanted_instant("of a pause: when they go on by themselves")),
            "ids": nullable(array(named_id("a schedule's"), most=1000, least=1, uniqueItems=True)),
            "names": nullable(array(NAME, most=1000, least=1, uniqueItems=True)),
            "filter": nullable(record({name: nullable(schema) for name, schema in CONDITIONS.items()},
                                      minProperties=1)),
            "limit": nullable(integer("of a filter: how many at most", 1, 1000, default=1000)),
            "cursor": nullable(CURSOR)} | BULK_OPTIONS,
            ["operation"], oneOf=CHOICES),
        {"results": array(RECEIPT, most=1000), "next_cursor": string("what is left of the filter"),
         "in_flight": IN_FLIGHT}, ["next_cursor", "in_flight"]),
}
