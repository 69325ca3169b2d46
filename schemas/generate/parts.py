"""The parts that schemas are made of: values with their ranges, objects, and what may be null."""

BASE = "carillon:schemas/"


def string(text="", most=None, least=None, pattern=None, **more):
    schema = {"description": text} if text else {}
    schema["type"] = "string"
    if least is not None:
        schema["minLength"] = least
    if most is not None:
        schema["maxLength"] = most
    if pattern:
        schema["pattern"] = pattern
    return schema | more


def number(text="", least=None, most=None, kind="number", **more):
    schema = {"description": text} if text else {}
    schema["type"] = kind
    if least is not None:
        schema["minimum"] = least
    if most is not None:
        schema["maximum"] = most
    return schema | more


def integer(text="", least=None, most=None, **more):
    return number(text, least, most, "integer", **more)


def boolean(text="", **more):
    return ({"description": text} if text else {}) | {"type": "boolean"} | more


def choice(*values, text="", **more):
    return ({"description": text} if text else {}) | {"enum": list(values)} | more


def array(items, text="", most=None, least=None, **more):
    schema = {"description": text} if text else {}
    schema |= {"type": "array", "items": items}
    if least is not None:
        schema["minItems"] = least
    if most is not None:
        schema["maxItems"] = most
    return schema | more


def record(properties, required=(), text="", **more):
    """An object with these members and no others."""
    schema = {"description": text} if text else {}
    schema["type"] = "object"
    if required:
        schema["required"] = list(required)
    return schema | {"additionalProperties": False, "properties": properties} | more


def closed(properties, optional=(), text="", **more):
    """An object with all of these members but the optional ones, and no others."""
    return record(properties, [name for name in properties if name not in set(optional)], text, **more)


def ref(name):
    return {"$ref": f"#/definitions/{name}"}


def nullable(schema):
    """The same, or null: in a request null is as good as absence."""
    if "enum" in schema:
        return schema | {"enum": schema["enum"] + [None]}
    if isinstance(schema.get("type"), str):
        return schema | {"type": [schema["type"], "null"]}
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    if "anyOf" in schema:
        return schema | {"anyOf": schema["anyOf"] + [{"type": "null"}]}
    return schema  # it takes anything


UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def identifier(text=""):
    return string(text, pattern=f"^{UUID}$")


def named_id(text):
    """An id in a request; any case, as RFC 9562 reads it."""
    return string(text, pattern="^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")


def instant(text=""):
    """As replies and events write it."""
    return string(text, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
                  format="date-time")


def wanted_instant(text):
    """As requests may write it: RFC 3339 with any offset."""
    return string(text, most=64, format="date-time")


NAMESPACE = string("the creator", pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
NAME = string("unique in the namespace", pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
DAY = string("a day", pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", format="date")
TRIGGERS = ["cron", "interval", "once", "immediate", "rrule", "manual", "backfill", "catchup", "after", "event",
            "absence"]
SKIP_REASONS = ["misfire", "paused", "deleted", "superseded", "coalesced", "catchup_cap", "target_revoked", "window",
                "overlap", "shadow"]
