"""A schedule: the fields that a creator says, and the whole of it as replies show it."""

from parts import (
    DAY, NAME, NAMESPACE, array, boolean, choice, closed, identifier, instant, integer, number, nullable, record,
    string, wanted_instant,
)

YEAR = 31_622_400
WORD = "[A-Za-z]{2,}"
# Wherever they stand, in any case: a NATS server may read them out of the middle of a name.
OWN_MARKS = "[Nn][Aa][Tt][Ss]-|[Kk][Vv]-|[Ss][Cc][Hh][Ee][Dd][Uu][Ll][Ee][Rr]-"
OWN_NAMES = ("^([Ss][Tt][Aa][Tt][Uu][Ss]|[Dd][Ee][Ss][Cc][Rr][Ii][Pp][Tt][Ii][Oo][Nn]"
             "|[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Tt][Yy][Pp][Ee]|[Tt][Rr][Aa][Cc][Ee][Pp][Aa][Rr][Ee][Nn][Tt]"
             "|[Tt][Rr][Aa][Cc][Ee][Ss][Tt][Aa][Tt][Ee])$")

WEEKDAYS = array(string(most=16, pattern=f"^ *{WORD}( *- *{WORD})? *$"), "weekdays and ranges of them", most=7, least=1)

WINDOW = record({
    "days": nullable(WEEKDAYS | {"description": "the days on which it begins; every day where it is left out"}),
    "from": string("24-hour clock", pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$"),
    "to": string("exclusive; before `from`: on the next day", pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"),
}, ["from", "to"], "an execution window on the schedule's clock")

SHOWN_DAY = "(MON|TUE|WED|THU|FRI|SAT|SUN)"
DAYS_SHOWN = array(string(pattern=f"^{SHOWN_DAY}(-{SHOWN_DAY})?$"))
WINDOW_SHOWN = closed({
    "days": DAYS_SHOWN,
    "from": WINDOW["properties"]["from"], "to": WINDOW["properties"]["to"],
})

TARGET = string("the subject to publish on; it must be on the namespace's allow-list",
                most=255, least=1, pattern=r"^(?!\$|_INBOX(\.|$))[!-)+\--=?-~]+(\.[!-)+\--=?-~]+)*$")

PAIRS = {
    "command_headers": {
        "description": "headers of the fired message, 4 KiB together",
        "type": "object", "maxProperties": 16,
        "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9-]{0,63}$",
                          "not": {"anyOf": [{"pattern": OWN_MARKS}, {"pattern": OWN_NAMES}]}},
        "additionalProperties": {"type": "string", "maxLength": 4096, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
                                 "not": {"pattern": OWN_MARKS}},
    },
    "metadata": {
        "description": "kept and returned", "type": "object", "maxProperties": 32,
        "propertyNames": {"maxLength": 128}, "additionalProperties": {"type": "string", "maxLength": 1024},
    },
}

# Whom a schedule follows.
LINK = record({"schedule": NAME, "on": nullable(choice("succeeded", "failed", "completed", default="succeeded"))},
              ["schedule"])
LINK_SHOWN = closed({"schedule": NAME, "on": choice("succeeded", "failed", "completed")})


def after(link):
    links = array(link, most=100, least=1)
    return {"description": "fires besides when other schedules of the namespace have ended so",
            "anyOf": [link, record({"any": links}, ["any"]), record({"all": links}, ["all"])]}


# What a creator says: each field's value, where it has one. The order is that of replies.
FIELDS = {
    "name": NAME | {"description": "unique in the namespace; the id where it is left out"},
    "description": string(most=1024, default=""),
    "schedule_type": choice("cron", "interval", "once", "immediate", "rrule", "event", "absence"),
    "cron_expression": string("5 or 6 fields, or @daily and the like", most=256, least=1),
    "interval_seconds": number("fixed rate, whole milliseconds", 0.1, 3_155_760_000),
    "run_at": string("RFC 3339, or a local time that is read in `timezone`", most=64),
    "rrule": string("a recurrence rule of RFC 5545", most=4096, least=1),
    "timezone": string("an IANA name", most=64, default="UTC"),
    "dst_policy": choice("vixie", "skip", "literal", "utc", default="vixie"),
    "start_at": wanted_instant("no occurrence before it"),
    "end_at": wanted_instant("no occurrence after it"),
    "max_runs": integer("occurrences of its own time that may fire in all", 1, 2**63 - 1),
    "spread_seconds": number("each occurrence moves later by a fixed offset below it", 0, 86_400, default=0),
    "only_on": NAME | {"description": "a calendar: fires on its business days only"},
    "not_on": NAME | {"description": "a calendar: does not fire on its holidays"},
    "shift": choice("none", "next_business_day", "previous_business_day", default="none"),
    "windows": array(WINDOW, most=50, default=[]),
    "outside": choice("skip", "defer", default="skip"),
    "event_subject": string("of event and absence: the subject to listen to; it must be on the namespace's list of sources",
                            most=255, least=1),
    "event_stream": string("of event and absence: a stream to read the subject from; a core subject where it is left out",
                           most=255, least=1),
    "delay_seconds": number("of event: from a message to its fire", 0, YEAR, default=0),
    "debounce_seconds": number("of event: fires once no message came for so long, for the last one", 0, 86_400, default=0),
    "max_rate_per_second": number("of event: fires a second at most; what is too much waits", 0.001, 1000),
    "absence_seconds": number("of absence: for so long no message may be missing", 1, YEAR),
    "target_command": TARGET,
    "command_payload": {"description": "any JSON; delivered as the exact bytes of this value", "default": {}},
    "command_headers": PAIRS["command_headers"],
    "payload_template": boolean("its strings are templates", default=False),
    "delivery": choice("jetstream", "core", "request", default="jetstream"),
    "guarantee": choice("at_least_once", "at_most_once", default="at_least_once"),
    "completion": choice("none", "reply", "report", default="none"),
    "start_timeout_seconds": number("", 0.001, YEAR),
    "run_timeout_seconds": number("", 0.001, YEAR, default=300),
    "heartbeat_timeout_seconds": number("", 0.001, YEAR),
    "overlap_policy": choice("skip", "buffer_one", "buffer", "allow", "cancel_previous", default="skip"),
    "max_in_flight": integer("at most the service's SCHEDULER_MAX_INSTANCES", 1, default=1),
    "concurrency_key": string("its tracked executions share the places of this key with others of the namespace",
                              most=128, least=1, pattern=r"^[^\u0000-\u001f\u007f-\u009f]+$"),
    "misfire_policy": choice("fire_once", "skip", "fire_all", default="fire_once"),
    "misfire_grace_seconds": number("up to this late it fires as it is", 0, YEAR, default=300),
    "catchup_window_seconds": number("", 0, YEAR, default=86_400),
    "catchup_limit": integer("", 0, 1000, default=100),
    "max_retries": integer("", 0, 1000, default=3),
    "retry_delay_seconds": number("", 0, YEAR, default=300),
    "retry_max_delay_seconds": number("", 0, YEAR, default=3600),
    "retry_max_age_seconds": number("", 0, YEAR, default=86_400),
    "pause_after_failures": integer("", 1, 1_000_000),
    "after": after(LINK),
    "priority": integer("the higher goes first", 0, 9, default=5),
    "tags": array(string(pattern="^[A-Za-z0-9:._-]{1,64}$"), most=32, default=[]),
    "metadata": PAIRS["metadata"],
    "delete_when_exhausted": boolean(default=False),
    "shadow": boolean("everything but the publish: each of its executions is skipped/shadow", default=False),
}

# An absence may do without target_command: then its event is all.
REQUIRED = ["schedule_type"]
MAIN_FIELDS = {"cron": "cron_expression", "interval": "interval_seconds", "once": "run_at", "rrule": "rrule",
               "immediate": None, "event": "event_subject", "absence": "absence_seconds"}
# Of several types.
SHARED = {"absence": ["event_subject", "cron_expression"]}


def wanted_fields(required=REQUIRED):
    """The fields of a request; those that are not required may be null."""
    return {name: schema if name in required else nullable(schema) for name, schema in FIELDS.items()}


def timing_rules():
    """Which field belongs to which type, as `allOf`."""
    rules = []
    for kind, main in MAIN_FIELDS.items():
        others = {field: {"type": "null"} for field in MAIN_FIELDS.values()
                  if field and field != main and field not in SHARED.get(kind, [])}
        if main is None or kind == "once":
            others["max_runs"] = {"enum": [1, None]}
        wanted = [main] if main else []
        wanted += ["event_subject"] if kind == "absence" else ["target_command"]
        then = {"properties": {field: {"not": {"type": "null"}} for field in wanted} | others}
        rules.append({"if": {"properties": {"schedule_type": {"const": kind}}, "required": ["schedule_type"]},
                      "then": {"required": wanted} | then})
    return rules


def shown_field(name, schema):
    """A field as a reply shows it: instants are written in one way only."""
    if name in ("run_at", "start_at", "end_at"):
        return instant(schema.get("description", ""))
    if name == "windows":
        return array(WINDOW_SHOWN)
    if name == "after":
        return after(LINK_SHOWN)
    return {key: value for key, value in schema.items() if key != "default"}


ABSENT_IF_UNSET = ["event_subject", "event_stream", "delay_seconds", "debounce_seconds", "max_rate_per_second",
                   "absence_seconds", "target_command", "cron_expression", "interval_seconds", "run_at", "rrule",
                   "start_at", "end_at", "max_runs", "only_on", "not_on", "concurrency_key", "start_timeout_seconds",
                   "heartbeat_timeout_seconds", "pause_after_failures", "after"]

SCHEDULE = closed(
    {"id": identifier("UUIDv7"), "namespace": NAMESPACE, "name": NAME, "version": integer("grows with each change", 1),
     "state": choice("active", "paused", "exhausted", "invalid", "deleted"), "pause_reason": string(),
     "paused_until": instant("when it goes on by itself")}
    | {name: shown_field(name, schema) for name, schema in FIELDS.items() if name != "name"}
    | {"next_fire_at": instant(), "last_fire_at": instant(), "last_status": string(),
       "run_count": integer("occurrences of its own time that were fired", 0),
       "created_at": instant(), "created_by": string(), "updated_at": instant(), "updated_by": string(),
       "next_fires": array(instant(), "on create, put, update and validate", most=5)},
    ABSENT_IF_UNSET + ["pause_reason", "paused_until", "next_fire_at", "last_fire_at", "last_status", "created_by", "updated_by",
                       "next_fires"])

# A calendar.
EXCEPT = array(DAY, most=1000)
HOLIDAY = {"anyOf": [
    DAY,
    record({"date": DAY, "name": nullable(string(most=128))}, ["date"]),
    record({"from": DAY, "to": DAY, "name": nullable(string(most=128))}, ["from", "to"]),
    record({"rrule": string("a rule of RFC 5545 in whole days", most=512), "start": DAY,
            "days": nullable(integer("its length", 1, 3660)), "except": nullable(EXCEPT),
            "name": nullable(string(most=128))}, ["rrule", "start"]),
]}
HOLIDAY_SHOWN = {"anyOf": [
    DAY,
    closed({"date": DAY, "name": string()}, ["name"]),
    closed({"from": DAY, "to": DAY, "name": string()}, ["name"]),
    closed({"rrule": string(), "start": DAY, "days": integer("", 1), "except": array(DAY), "name": string()},
           ["except", "name"]),
]}
CALENDAR = closed(
    {"name": NAME, "namespace": NAMESPACE, "version": integer("", 1),
     "working_days": DAYS_SHOWN, "holidays": array(HOLIDAY_SHOWN),
     "created_at": instant(), "created_by": string(), "updated_at": instant(), "updated_by": string()},
    ["created_by", "updated_by"])
