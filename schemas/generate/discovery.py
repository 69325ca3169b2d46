"""What is asked without a namespace: help, and discovery as a NATS micro-service (ADR-32)."""

from parts import array, boolean, choice, closed, instant, integer, nullable, record, string

HELP = {
    "request": {"anyOf": [
        {"type": "null"}, string("a command or a noun; it may come without its quotes", most=4096),
        record({"command": nullable(string("a command or a noun", most=128)),
                "format": nullable(choice("text", "json", default="text"))})]},
    "reply": closed({"commands": array(closed({
        "name": string("schedule.create"), "kind": choice("cmd", "admin"), "subject": string(), "summary": string(),
        "changes": boolean("it takes request_id, actor, reason and dry_run"),
        "may_be_submitted": boolean("on <prefix>.submit.<namespace>.<noun>.<verb>"),
        "request_schema": string(), "reply_schema": string(),
        "examples": array(closed({"subject": string(), "body": string("empty, or a JSON object")}), least=1)}))}),
}

STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
IDENTITY = {"name": {"const": "carillon"}, "id": string("of the process", pattern="^[0-9A-Za-z_-]+$"),
            "version": string(), "metadata": STRINGS}
ENDPOINT = {"name": string(pattern="^[A-Za-z0-9_-]+$"), "subject": string(), "queue_group": {"const": "carillon"}}


def micro(kind, **members):
    return closed({"type": {"const": f"io.nats.micro.v1.{kind}_response"}} | IDENTITY | members)


MICRO = {
    "ping": micro("ping"),
    "info": micro("info", description=string(), endpoints=array(closed(ENDPOINT | {"metadata": closed({
        "request_schema": string("the $id of a file of schemas/", pattern="^carillon:schemas/"),
        "reply_schema": string(pattern="^carillon:schemas/")})}))),
    "stats": micro("stats", started=instant(), endpoints=array(closed(ENDPOINT | {
        "num_requests": integer("", 0), "num_errors": integer("", 0), "last_error": string(),
        "processing_time": integer("nanoseconds", 0), "average_processing_time": integer("nanoseconds", 0),
        "data": {"type": "object"}}))),
}
