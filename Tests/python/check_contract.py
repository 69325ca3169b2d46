"""Holds the files of schemas/ to their standards and to each other, and the documentation's examples to them.

check_contract.py generator | standards | asyncapi | openapi | documentation
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMAS = ROOT / "schemas"
OPENAPI = SCHEMAS / "openapi.json"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def load(path):
    return json.loads((SCHEMAS / path).read_text())


def generator():
    """The files are those that schemas/generate writes."""
    subprocess.run([sys.executable, SCHEMAS / "generate", "--check"], check=True)


def standards():
    """Each file is a draft-07 schema that names itself, closed, and needs no other file."""
    for path in sorted(set(SCHEMAS.rglob("*.json")) - {OPENAPI}):
        schema = json.loads(path.read_text())
        Draft7Validator.check_schema(schema)
        assert schema["$id"] == f"carillon:schemas/{path.relative_to(SCHEMAS)}", path
        for place, part in walk(schema):
            assert part.get("$ref", "#/").startswith("#/definitions/") or "$ref" not in part, (path, place)
            if part.get("type") == "object" and "properties" in part:
                assert "additionalProperties" in part, (path, place)


def walk(value, place=""):
    if isinstance(value, dict):
        yield place, value
        for key, item in value.items():
            yield from walk(item, f"{place}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, f"{place}/{index}")


def asyncapi():
    """AsyncAPI 3.0's rules that bear on us: every reference leads somewhere, every message is said by somebody."""
    document = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text())
    assert document["asyncapi"] == "3.0.0" and {"title", "version"} <= set(document["info"])
    files = set()
    for place, part in walk(document):
        target = part.get("$ref")
        if isinstance(target, str) and target.startswith("#/"):
            found = document
            for token in target[2:].split("/"):
                found = found[token]
        elif isinstance(target, str):
            files.add(target.removeprefix("./"))
            assert (SCHEMAS / target).exists(), (place, target)
    described = {str(path.relative_to(SCHEMAS)) for path in SCHEMAS.rglob("*.json") if path != OPENAPI}
    unsaid = described - files - {"targets.v1.json", "commands/error.reply.v1.json"}
    assert not unsaid, f"no message of asyncapi.yaml has the schema {sorted(unsaid)}"
    for name, channel in document["channels"].items():
        wanted = set(re.findall(r"{(\w+)}", channel["address"] or ""))
        assert set(channel.get("parameters", {})) <= wanted, name
    said = set()
    for name, operation in document["operations"].items():
        assert operation["action"] in ("send", "receive"), name
        for part in (operation, operation.get("reply", {})):
            channel = part.get("channel", {}).get("$ref")
            for message in part.get("messages", []):
                assert message["$ref"].startswith(f"{channel}/messages/"), (name, message)
                said.add(message["$ref"].rpartition("/")[2])
    assert said == set(document["components"]["messages"]), said ^ set(document["components"]["messages"])


def openapi():
    """The document is OpenAPI 3.1, says another's validator; and each command has its place in it."""
    from openapi_spec_validator import validate  # here, for it takes its time

    document = json.loads(OPENAPI.read_text())
    assert document["openapi"] == "3.1.0"
    validate(document)
    said = {operation.get("x-command") for path in document["paths"].values() for operation in path.values()} - {None}
    described = {path.name.removesuffix(".reply.v1.json") for path in (SCHEMAS / "commands").glob("*.*.reply.v1.json")}
    assert said == described - {"error"}, said ^ described


def documentation():
    """What the documentation shows: requests whole, events whole, replies with known members of the right kind."""
    counts = {"requests": 0, "replies": 0, "events": 0}
    for path in DOCUMENTS:
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.M | re.S):
            if language in ("sh", "shell", "console", "bash"):
                for command, body in requests(block):
                    check(f"commands/{command}.request.v1.json", body, path, partly=False)
                    counts["requests"] += 1
            for value in values(block):
                kind = value.get("type", "") if isinstance(value, dict) else ""
                if "specversion" in value:
                    check(value["dataschema"].removeprefix("carillon:schemas/"), value, path, partly=False)
                    counts["events"] += 1
                elif event := re.fullmatch(r"io\.carillon\.(\w+)\.v1\.(\w+)", str(kind)):
                    check(f"events/{event[1]}.{event[2]}.v1.json", value, path, partly=True)
                    counts["events"] += 1
                elif kind == "io.carillon.v1.dead_letter":
                    check("dead-letter.v1.json", value, path, partly=True)
                elif isinstance(kind, str) and kind.startswith("io.carillon.v1."):
                    check(reply_schema(kind), value, path, partly=True)
                    counts["replies"] += 1
    print(counts)
    assert min(counts.values()) > 0, counts
    contents()


def contents():
    """The table of docs/commands.md: every command, whether it changes something, whether it may be submitted."""
    text = (ROOT / "docs/commands.md").read_text()
    rows = re.findall(r"^\| \[`([\w.]+)`\]\([^)]+\) \| (yes)? ?\| (yes)? ?\| ", text, re.M)
    shown = {name: (bool(changes), bool(submitted)) for name, changes, submitted in rows}
    wanted = {}
    for path in (SCHEMAS / "commands").glob("*.*.reply.v1.json"):
        name = path.name.removesuffix(".reply.v1.json")
        # What takes dry_run and changes nothing anyway does not say so in its reply.
        branches = json.loads(path.read_text()).get("oneOf", [{}])
        changes = "dry_run" in branches[0].get("properties", {})
        wanted[name] = (changes, changes and not name.startswith("admin."))
    assert shown == wanted and len(rows) == len(wanted), sorted(shown.items() ^ wanted.items())


# In the place of the nats command line: tells what it is asked, and answers with executions.
NATS = r"""
nats() {
    while [ "$1" != req ] && [ "$1" != pub ]; do shift; done
    shift
    while [ "${1#--}" != "$1" ]; do shift; done
    printf '%s\n%s\n' "$1" "$2" >&2
    echo '{"execution":{"id":"01a1fd73-4b71-8e15-b464-f0143fffdf21"},"backfill":{"execution_ids":["01a1fd73-4b71-8e15-b464-f0143fffdf21"]}}'
}
"""


def requests(block):
    """The commands that a block's lines ask, as a shell reads them: it knows quotes, dates and variables."""
    lines = [re.sub(r"^\$ ", "", line) for line in block.replace("\\\n", " ").splitlines()
             if re.search(r"\bnats\b.*\b(req|pub) .*\.(cmd|submit|admin|help)\b", line)]
    asked = subprocess.run(["bash", "-c", NATS + "\n".join(lines)], check=True, capture_output=True, text=True).stderr
    pairs = asked.split("\n")[:-1]
    assert len(pairs) >= 2 * len(lines), (lines, asked)
    for subject, body in zip(pairs[::2], pairs[1::2]):
        tokens = subject.split(".")
        name = ".".join(tokens[3:] if tokens[1] in ("cmd", "submit") else tokens[1:])
        is_json = not body.strip() or name != "help" or body.startswith("{")
        yield name, (json.loads(body) if body.strip() else {}) if is_json else body


def values(block):
    """The JSON objects that begin a line of a block, however many lines each takes."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"^\{", block, re.M):
        try:
            yield decoder.raw_decode(block, match.start())[0]
        except ValueError:
            continue


def reply_schema(kind):
    name = re.fullmatch(r"io\.carillon\.v1\.(\w+)_response", kind).group(1)
    for path in sorted((SCHEMAS / "commands").glob("*.reply.v1.json")):
        schema = json.loads(path.read_text())
        branches = schema.get("oneOf", [])
        if branches and branches[0]["properties"]["type"].get("const") == kind:
            return f"commands/{path.name}"
    raise AssertionError(f"no command replies with {name}")


def check(path, value, source, partly):
    schema = load(path)
    if path.endswith(".reply.v1.json") and "oneOf" in schema:
        branch = schema["oneOf"][1 if "error" in value else 0]
        schema = branch | {"definitions": schema.get("definitions", {})}
    if partly:
        schema, value = optional(schema), shown(value)
    error = best_match(Draft7Validator(schema).iter_errors(value))
    assert error is None, f"{source}: {path}: /{'/'.join(map(str, error.absolute_path))}: {error.message[:400]}"


def optional(schema):
    """The same without what must be there: documentation shortens."""
    if isinstance(schema, dict):
        return {key: optional(value) for key, value in schema.items()
                if not (key == "required" and isinstance(value, list))}
    return [optional(item) for item in schema] if isinstance(schema, list) else schema


def shown(value):
    """The same without the texts that documentation has cut short."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items() if not (isinstance(item, str) and "…" in item)}
    return [shown(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    {"generator": generator, "standards": standards, "asyncapi": asyncapi, "openapi": openapi,
     "documentation": documentation}[sys.argv[1]]()
