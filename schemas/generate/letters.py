"""What an execution leaves behind that gave up: a message of the stream of dead letters."""

from parts import choice, closed, integer, ref, string

LETTER = {
    "title": "a dead letter",
    **closed({
        "type": {"const": "io.carillon.v1.dead_letter"}, "execution": ref("execution"),
        "target_command": string("the subject that it was sent to"),
        "delivery": choice("jetstream", "core", "request"),
        "command_headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "payload_sha256": string(pattern="^[0-9a-f]{64}$"), "payload_bytes": integer("", 0),
        "payload": {"description": "as the last attempt had it; left out beyond 256 KiB"},
    }, ["payload"], "An execution gave up; admin.dlq.redrive sends it again."),
}
