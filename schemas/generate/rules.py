"""The rules that creators live by: the allow-list as commands keep it, and the limits of namespaces."""

from commands import IF_ANY, IN_FLIGHT, LIMIT, UNVERSIONED, paged, request
from parts import NAMESPACE, array, choice, closed, integer, number, string
from replies import ALLOWED, CONCURRENCY_USE, WARNINGS

SCOPE = {
    "namespace": string("a namespace, or * for every one", pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]{0,63}|\*)$"),
    "subject": string("a subject, with * and > as NATS has them", most=255, least=1, pattern="^[!-~]+$"),
}
INT32 = 2**31 - 1


def or_null(schema):
    return schema | {"type": [schema["type"], "null"]}


LIMITS = {
    "max_schedules": integer("schedules that are neither exhausted nor deleted", 0, 1_000_000_000),
    "commands_per_second": number("of all instances together", 0.01, 1_000_000),
    "command_burst": integer("commands at once", 1, 1_000_000),
    "min_interval_seconds": number("the shortest time between two occurrences", 0.1, 31_622_400),
    "max_payload_bytes": integer("", 1, INT32),
}
PLACES = integer("executions that are open at once", 1, 10_000)
CONCURRENCY = {
    "description": "places of concurrency keys; a key that is not named has one", "type": "object", "maxProperties": 1000,
    "propertyNames": {"minLength": 1, "maxLength": 128}}
CHANGED = {"target": ALLOWED, "warnings": WARNINGS, "in_flight": IN_FLIGHT}
VIEW = closed({"namespace": NAMESPACE, "schedules": integer("that there are", 0)} | {
    name: schema if name == "max_schedules" else or_null(schema) for name, schema in LIMITS.items()
} | {"concurrency": CONCURRENCY | {"additionalProperties": PLACES}})

PAGE = request({"limit": LIMIT, "cursor": string("a next_cursor", most=400)})

COMMANDS = {
    "target.list": (PAGE, paged("targets", ALLOWED), ["next_cursor"]),
    "admin.target.allow": (
        request(SCOPE | {
            "delivery": array(choice("jetstream", "core", "request"), least=1, default=["jetstream"]),
            "max_payload_bytes": integer("", 1, INT32),
            "max_in_flight": integer("tracked executions that are open on the subject at once", 1, 10_000),
            "payload_schema": {"description": "a JSON Schema (draft-07) that payloads must satisfy", "type": "object"}},
            ["namespace", "subject"], options=UNVERSIONED),
        CHANGED, IF_ANY),
    "admin.target.revoke": (
        request(SCOPE, ["namespace", "subject"], options=UNVERSIONED), CHANGED, IF_ANY),
    "admin.target.list": (PAGE, paged("targets", ALLOWED), ["next_cursor"]),
    "admin.namespace.limits": (
        request({"namespace": NAMESPACE} | LIMITS | {
            "concurrency": CONCURRENCY | {"type": ["object", "null"], "additionalProperties": or_null(PLACES)}},
            ["namespace"], options=UNVERSIONED),
        {"namespace": VIEW, "concurrency_use": CONCURRENCY_USE}, []),
    "admin.namespace.list": (
        request({"limit": LIMIT, "cursor": string(most=64)}), paged("namespaces", VIEW), ["next_cursor"]),
}
