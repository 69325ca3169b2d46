"""Writes the files of schemas/: python3 schemas/generate [--check] [folder]

`--check` writes nothing, and fails where a file is not what would be written.
"""

import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # it is run where it stands, among the schemas

from asyncapi import document, yaml
from catalogue import COMMANDS, is_changing
from discovery import HELP, MICRO
from events import EVENTS, HEADERS, event_schema
from letters import LETTER
from openapi import compact, document as rest, swift
from parts import BASE, closed
from rehearsals import REHEARSALS
from replies import DEFINITIONS, REHEARSAL
from reports import REPORTS, STOP, report_schema

FOLDER = Path(__file__).resolve().parent.parent


def references(schema):
    """The names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        found = {schema["$ref"].rpartition("/")[2]} if isinstance(schema.get("$ref"), str) else set()
        return found.union(*(references(value) for value in schema.values()))
    if isinstance(schema, list):
        return set().union(*(references(value) for value in schema))
    return set()


def whole(path, schema):
    """A schema that stands by itself: with its `$id`, and with the definitions that it refers to."""
    wanted, seen = references(schema), set()
    while wanted - seen:
        name = min(wanted - seen)
        seen.add(name)
        wanted |= references(DEFINITIONS[name])
    text = {"$schema": "http://json-schema.org/draft-07/schema#", "$id": BASE + path} | schema
    if seen:
        text["definitions"] = schema.get("definitions", {}) | {name: DEFINITIONS[name] for name in sorted(seen)}
    return text


def reply(name, members, optional):
    """The result, or the error; of a command that changes something, what a dry run tells besides."""
    noun, verb = name.split(".")[-2:]
    kind = {"type": {"const": f"io.carillon.v1.{noun}_{verb}_response"}}
    if name in COMMANDS and is_changing(name):
        rehearsal = REHEARSAL
        if name in REHEARSALS:
            rehearsal = {"dry_run": REHEARSAL["dry_run"]} | REHEARSALS[name]
        optional = [*optional, *(part for part in rehearsal if part not in members)]
        members = members | rehearsal
    return {"oneOf": [closed(kind | members, optional, "it was done"),
                      closed(kind | {"error": {"$ref": "#/definitions/error"}}, text="it was not done")]}


def files():
    result = {}

    def add(path, schema):
        result[path] = json.dumps(whole(path, schema), indent=2, ensure_ascii=False) + "\n"

    for name, (request, members, optional) in COMMANDS.items():
        add(f"commands/{name}.request.v1.json", {"title": f"{name}: the request"} | request)
        add(f"commands/{name}.reply.v1.json",
            {"title": f"{name}: the reply"} | reply(name, members, optional))
    add("commands/help.request.v1.json", {"title": "help: the request"} | HELP["request"])
    add("commands/help.reply.v1.json",
        {"title": "help: the reply to format json"}
        | reply("system.help", {"help": HELP["reply"]}, []))
    # Of a command that does not exist, and of a subject that is none.
    add("commands/error.reply.v1.json", {"title": "the reply to what is no command"} | closed(
        {"type": {"type": "string", "pattern": r"^io\.carillon\.v1\.[^ ]*_response$"},
         "error": {"$ref": "#/definitions/error"}}))
    for name in EVENTS:
        add(f"events/{name}.v1.json", event_schema(name))
    for kind in REPORTS:
        add(f"reports/{kind}.v1.json", report_schema(kind))
    add("reports/cancel.v1.json", {"title": "what a worker is told that shall stop"} | STOP)
    for verb, schema in MICRO.items():
        add(f"micro/{verb}.v1.json", {"title": f"discovery: {verb}"} | schema)
    add("fired-message.headers.v1.json", HEADERS)
    add("dead-letter.v1.json", LETTER)
    result["asyncapi.yaml"] = yaml(document("1")) + "\n"
    result["openapi.json"] = json.dumps(rest("1"), indent=1, ensure_ascii=False) + "\n"
    result["../Sources/SchedulerHTTP/OpenAPIDocument.swift"] = swift(compact(rest("1")))
    return result


def main():
    arguments = sys.argv[1:]
    checks = "--check" in arguments
    folder = Path(next((text for text in arguments if not text.startswith("-")), FOLDER))
    wanted = files()
    made = {str(path.relative_to(folder)) for part in ("commands", "events", "micro", "reports")
            for path in (folder / part).glob("*.json")}
    wrong = sorted(made - set(wanted))
    for path, text in wanted.items():
        target = folder / path
        if target.exists() and target.read_text() == text:
            continue
        wrong.append(path)
        if not checks:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    for path in sorted(made - set(wanted)):
        if not checks:
            (folder / path).unlink()
    if checks and wrong:
        sys.exit("not what schemas/generate writes: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
