"""What a dry run tells besides, of commands whose change is no single schedule's."""

from ledger import CHANGES
from parts import NAME, NAMESPACE, array, boolean, choice, closed, identifier, instant, integer, string

CALLED = {"id": identifier(), "namespace": NAMESPACE, "name": NAME}
COMPLETE = boolean("there are no others; false where there are more than one look sees")


def due(text):
    return {"description": text, "anyOf": [instant(), {"type": "null"}]}


DIFFERENT = closed({
    "scheduled_for": instant("the occurrence"), "from": due("when it is due now; null: it does not fire"),
    "to": due("when it would be due; null: it would not fire"),
})
COUNTED = {"added": integer("", 0), "removed": integer("", 0), "moved": integer("due at another time", 0)}
CONCERNED = closed({
    "count": integer("schedules that the change concerns", 0), "complete": COMPLETE,
    "compared": integer("the first of them, whose fires of the next 7 days were compared", 0, 100), **COUNTED,
    "truncated": boolean("of some schedule the comparison ended early"),
    "schedules": array(closed(CALLED | COUNTED | {
        "until": instant("what is told holds through here"), "truncated": boolean("until is earlier than in 7 days"),
        "fires": array(DIFFERENT, "the first that differ", most=10)}),
        "those of the compared ones whose fires differ", most=100),
}, text="what becomes of the fires of the schedules that it concerns")
INVALIDATED = closed({
    "count": integer("", 0), "complete": COMPLETE,
    "schedules": array(closed(CALLED | {"reason": string(least=1)}), "the first of them", most=20),
}, text="active schedules that would lose their target")
EXCEEDED = array(closed({
    "pointer": choice("/max_schedules", "/min_interval_seconds", "/max_payload_bytes"),
    "count": integer("schedules beyond it", 1), "complete": COMPLETE,
    "schedules": array(closed(CALLED), "the first of them; none of max_schedules", most=20),
}), "limits that the namespace would be beyond; what is there stays as it is")


def of(consequence):
    return {"changes": CHANGES} | consequence


# name: the members that a dry run has besides dry_run.
REHEARSALS = {
    "calendar.put": of({"concerned": CONCERNED}),
    "calendar.delete": of({}),
    "admin.freeze.set": of({"concerned": CONCERNED}),
    "admin.freeze.clear": of({"concerned": CONCERNED}),
    "admin.target.allow": of({"invalidated": INVALIDATED}),
    "admin.target.revoke": of({"invalidated": INVALIDATED}),
    "admin.namespace.limits": of({"exceeded": EXCEEDED}),
}
