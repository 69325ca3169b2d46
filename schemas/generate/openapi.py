"""openapi.json: the REST face, OpenAPI 3.1. `Sources/SchedulerHTTP/RouteTable.swift` says the same; a test compares them."""

import json
import re

from catalogue import COMMANDS, is_changing
from events import EVENTS
from replies import DEFINITIONS, REHEARSAL
from rehearsals import REHEARSALS

BASE = "/api/v1"
ID = {"description": "its id, or its name", "type": "string", "minLength": 1, "maxLength": 128}
JSON = "application/json"
# Of the query what is no text, by its name.
TYPED = {"limit", "count", "window_seconds", "step_seconds", "past", "coming", "if_version", "full", "dry_run", "force", "catch_up"}
SCHEDULE, EXECUTION = f"{BASE}/schedules/{{id}}", f"{BASE}/executions/{{id}}"

# (method, path, command, members that the path says)
ROUTES = [
    ("post", f"{BASE}/schedules", "schedule.create", ()),
    ("get", f"{BASE}/schedules", "schedule.list", ()),
    ("post", f"{BASE}/schedules/bulk/create", "schedule.bulk_create", ()),
    ("post", f"{BASE}/schedules/bulk/operation", "schedule.bulk", ()),
    ("post", f"{BASE}/schedules/validate", "schedule.validate", ()),
    ("post", f"{BASE}/schedules/preview", "schedule.preview", ()),
    ("get", SCHEDULE, "schedule.get", ("id", "name")),
    ("put", SCHEDULE, "schedule.put", ("name",)),
    ("patch", SCHEDULE, "schedule.update", ("id",)),
    ("delete", SCHEDULE, "schedule.delete", ("id", "name")),
    ("post", f"{SCHEDULE}/pause", "schedule.pause", ("id", "name")),
    ("post", f"{SCHEDULE}/resume", "schedule.resume", ("id", "name")),
    ("post", f"{SCHEDULE}/trigger", "schedule.trigger", ("id", "name")),
    ("post", f"{SCHEDULE}/backfill", "schedule.backfill", ("id", "name")),
    ("get", f"{SCHEDULE}/preview", "schedule.preview", ("id", "name")),
    ("get", f"{SCHEDULE}/explain", "schedule.explain", ("id", "name")),
    ("get", f"{SCHEDULE}/stats", "schedule.stats", ("id", "name")),
    ("get", f"{SCHEDULE}/timeline", "schedule.timeline", ("id", "name")),
    ("get", f"{SCHEDULE}/executions", "execution.list", ("schedule_id", "schedule_name")),
    ("get", f"{BASE}/executions", "execution.list", ()),
    ("get", f"{BASE}/executions/running", "execution.list", ("status",)),
    ("get", f"{BASE}/executions/stats", "execution.stats", ()),
    ("get", f"{BASE}/executions/stats/{{schedule_id}}", "execution.stats", ("schedule_id", "schedule_name")),
    ("get", EXECUTION, "execution.get", ("id",)),
    ("post", f"{EXECUTION}/cancel", "execution.cancel", ("id",)),
    ("post", f"{EXECUTION}/retry", "execution.retry", ("id",)),
    ("get", f"{BASE}/forecast", "schedule.forecast", ()),
    ("get", f"{BASE}/targets", "target.list", ()),
    ("get", f"{BASE}/audit", "audit.list", ()),
    ("get", f"{BASE}/calendars", "calendar.list", ()),
    ("get", f"{BASE}/calendars/{{name}}", "calendar.get", ("name",)),
    ("put", f"{BASE}/calendars/{{name}}", "calendar.put", ("name",)),
    ("delete", f"{BASE}/calendars/{{name}}", "calendar.delete", ("name",)),
] + [
    ("post" if is_changing(name) or name == "admin.system.verify" else "get",
     f"{BASE}/admin/{name.split('.')[1]}/{name.split('.')[2]}", name, ())
    for name in COMMANDS if name.startswith("admin.")
]
# Of a body that is one of several kinds of things, the members that only one kind has.
PREVIEW_OF_A_SCHEDULE = ["from", "count"]
FAILURES = {"400": "the request cannot be read", "401": "no token that is known", "403": "it is not allowed",
            "404": "there is no such thing", "409": "it conflicts with what there is",
            "413": "the body is too long", "415": "the body is no JSON", "422": "the body, the path or the query is wrong",
            "429": "too many; Retry-After says when", "503": "not ready; Retry-After says when",
            "504": "nobody knows in time"}


def moved(schema):
    """A schema with its references into components, in the dialect of OpenAPI 3.1."""
    if isinstance(schema, dict):
        return {("dependentRequired" if key == "dependencies" else key):
                (value.replace("#/definitions/", "#/components/schemas/") if key == "$ref" else moved(value))
                for key, value in schema.items()}
    return [moved(item) for item in schema] if isinstance(schema, list) else schema


def text_of(schema):
    """A member of a request as a parameter: null is said by leaving it out."""
    schema = {key: value for key, value in schema.items()}
    if isinstance(schema.get("type"), list):
        schema["type"] = next(kind for kind in schema["type"] if kind != "null")
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    if "anyOf" in schema:
        branches = [branch for branch in schema["anyOf"] if branch.get("type") != "null"]
        if len(branches) == 1:
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            return text_of(branches[0]) | rest
        schema["anyOf"] = [text_of(branch) for branch in branches]
    schema.pop("default", None)
    return schema


def parameters(method, path, name, said):
    result = [{"name": part, "in": "path", "required": True, "schema": ID}
              for part in re.findall(r"{(\w+)}", path)]
    if not name.startswith("admin."):
        result.append({"$ref": "#/components/parameters/namespace"})
    if is_changing(name):
        result += [{"$ref": "#/components/parameters/idempotency_key"}]
    if method not in ("get", "delete"):
        return result
    request = COMMANDS[name][0]
    members = request["properties"]
    if name == "schedule.preview":
        members = {key: members[key] for key in PREVIEW_OF_A_SCHEDULE}
    for key, schema in members.items():
        if key in said:
            continue
        schema = text_of(moved(schema))
        parameter = {"name": key, "in": "query", "required": key in request.get("required", []), "schema": schema}
        if text := schema.pop("description", ""):
            parameter["description"] = text
        assert key in TYPED or not {"integer", "boolean", "number"} & {schema.get("type")}, (name, key)
        result.append(parameter)
    return result


def body(name, said):
    """The request without what the path says already."""
    request = moved(COMMANDS[name][0])
    if not said:
        return request
    members = {key: value for key, value in request["properties"].items() if key not in said}
    result = {key: value for key, value in request.items() if key not in ("properties", "anyOf", "required")}
    result["properties"] = members
    if required := [key for key in request.get("required", []) if key not in said]:
        result["required"] = required
    return result


def success(name):
    _, members, optional = COMMANDS[name]
    noun, verb = name.split(".")[-2:]
    members = {"type": {"const": f"io.carillon.v1.{noun}_{verb}_response"}} | members
    if is_changing(name):
        rehearsal = {"dry_run": REHEARSAL["dry_run"]} | REHEARSALS[name] if name in REHEARSALS else REHEARSAL
        optional = [*optional, *(part for part in rehearsal if part not in members)]
        members = members | rehearsal
    return {"type": "object", "properties": moved(members), "additionalProperties": False,
            "required": [key for key in members if key not in optional]}


def answer(text, schema, kind=JSON):
    return {"description": text, "content": {kind: {"schema": schema}}}


def failures(*codes):
    return {code: {"$ref": f"#/components/responses/{code}"} for code in codes or FAILURES}


def operation(method, path, name, said):
    result = {"operationId": f"{method}.{path.removeprefix(BASE).strip('/').replace('/', '.')}",
              "summary": name, "tags": [name.split(".")[0]], "x-command": name,
              "parameters": parameters(method, path, name, said)}
    if method not in ("get", "delete"):
        schema = body(name, said)
        result["requestBody"] = {"required": bool(schema.get("required")), "content": {JSON: {"schema": schema}}}
    done = answer("it was done", {"$ref": f"#/components/schemas/{name}.success"})
    result["responses"] = {"200": done}
    if name == "schedule.create":
        made = answer("it was made", {"$ref": f"#/components/schemas/{name}.success"})
        made["headers"] = {"Location": {"schema": {"type": "string"}, "required": True}}
        result["responses"]["201"] = made
    result["responses"] |= failures()
    return result


def health(text, members, codes=("200", "503")):
    schema = {"type": "object", "required": ["status"], "properties": members}
    return {"get": {"operationId": "get." + text.replace(" ", "."), "summary": text, "tags": ["health"], "security": [],
                    "responses": {code: answer(text, schema) for code in codes}}}


def others():
    """What no command answers."""
    status, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    detailed = health("health in detail", {"status": status, "reasons": texts})
    detailed["get"]["responses"]["401"] = {"$ref": "#/components/responses/401"}
    detailed["get"]["responses"]["403"] = {"$ref": "#/components/responses/403"}
    detailed["get"].pop("security")
    events = {
        "operationId": "get.events", "summary": "the events, as server-sent events", "tags": ["events"],
        "description": "Each event has the sequence of the stream for its id; Last-Event-ID goes on after it.",
        "parameters": [
            {"$ref": "#/components/parameters/namespace"},
            {"name": "namespace", "in": "query", "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}},
            {"name": "event", "in": "query", "schema": {"type": "string", "enum": sorted(EVENTS)}},
            {"name": "schedule_id", "in": "query", "schema": {"type": "string", "format": "uuid"}},
            {"name": "last_event_id", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}},
            {"name": "Last-Event-ID", "in": "header", "schema": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}},
        ],
        "responses": {"200": answer("the events", {"type": "string"}, "text/event-stream")}
        | failures("400", "401", "403", "422", "429", "503"),
    }
    document = {"operationId": "get.openapi.json", "summary": "this document", "tags": ["document"], "security": [],
                "responses": {"200": answer("this document", {"type": "object"})}}
    metrics = {"operationId": "get.metrics", "summary": "metrics for Prometheus", "tags": ["health"], "security": [],
               "responses": {"200": answer("the metrics", {"type": "string"}, "text/plain")}}
    return {
        "/live": health("the process runs", {"status": {"const": "live"}}, ["200"]),
        "/ready": health("ready or not", {"status": status, "reasons": texts}),
        "/health": health("health", {"status": status, "reasons": texts}),
        "/health/detailed": detailed, "/metrics": {"get": metrics},
        f"{BASE}/events": {"get": events}, f"{BASE}/openapi.json": {"get": document},
    }


def document(version):
    paths = others()
    for method, path, name, said in ROUTES:
        paths.setdefault(path, {})[method] = operation(method, path, name, said)
    names = sorted({name for _, _, name, _ in ROUTES})
    failure = {"type": "object", "additionalProperties": False, "required": ["type", "error"], "properties": {
        "type": {"type": "string", "pattern": r"^io\.carillon\.v1\.[^ ]*_response$"},
        "error": {"$ref": "#/components/schemas/error"}}}
    responses = {code: answer(text, {"$ref": "#/components/schemas/failure"}) for code, text in FAILURES.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Carillon", "version": version, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
                 "description": "A scheduler for NATS, over HTTP: the same commands, the same errors (docs/http.md)."},
        "servers": [{"url": "http://127.0.0.1:8008"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "parameters": {
                "namespace": {"name": "Scheduler-Namespace", "in": "header",
                              "description": "the namespace; may be left out by a token of one only",
                              "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}},
                "idempotency_key": {"name": "Idempotency-Key", "in": "header",
                                    "description": "the request_id, where the body has none; X-Request-Id does too",
                                    "schema": {"type": "string", "minLength": 1, "maxLength": 128,
                                               "pattern": "^[!-~]+$"}},
            },
            "responses": responses,
            "schemas": {name: moved(schema) for name, schema in DEFINITIONS.items()} | {"failure": failure}
            | {f"{name}.success": success(name) for name in names},
        },
    }


def swift(text):
    """The document as a source of the program. In pieces: a compiler that reads one long literal takes its time."""
    lines = [text[start:start + 100_000] for start in range(0, len(text), 100_000)]
    pieces = ",\n".join(f'        ####"{line}"####' for line in lines)
    return f"""// swift-format-ignore-file
// Written by schemas/generate; a change is made there.

/// schemas/openapi.json, without its blanks.
enum OpenAPIDocument {{
    static let bytes: [UInt8] = pieces.flatMap {{ Array($0.utf8) }}

    private static let pieces: [String] = [
{pieces},
    ]
}}
"""


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
