"""Holds recorded traffic to the schemas, by a validator that others wrote.

validate_traffic.py <folder of recordings> [--complete]

The tests record when CARILLON_RECORD_TRAFFIC names a folder. Every reply, every event, the headers of every fired
message, and every request that was carried out must satisfy its schema; a request that was refused need not. With
`--complete`, for a run of all tests: every schema has a message, and every code of docs/errors.md was raised.
"""

import json
import random
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_EACH = 400  # of one schema; the others are left out, by chance
MOST_SHOWN = 20

# Codes that no test raises over the wire, and why.
NOT_RAISED = {
    50501: "what a later version brings; at present nothing of the kind is known",
    50506: "over HTTP, while NATS is away: over NATS nobody hears it",
}
# Codes that only a race or a fault raises: no test can order them, and one may meet them.
BY_CHANCE = {
    20413: "twice the same request_id at one instant, and the first of them is rolled back",
    50507: "a command that is under way while its instance leaves",
}
# Schemas that no message was seen for, and why.
NOT_SEEN = {}


class Traffic:
    def __init__(self):
        self.schemas = {}
        for path in sorted(set((ROOT / "schemas").rglob("*.json")) - {ROOT / "schemas/openapi.json"}):
            self.schemas[str(path.relative_to(ROOT / "schemas"))] = json.loads(path.read_text())
        self.validators = {}
        self.seen = Counter()
        self.codes = Counter()
        self.wrong = defaultdict(list)
        self.waiting = defaultdict(list)  # schema: what is to be validated against it

    def expect(self, path, value, source):
        if path not in self.schemas:
            self.wrong[path].append(f"there is no such schema: {source[:300]}")
            return
        self.seen[path] += 1
        self.waiting[path].append((value, source))

    def validator(self, path, branch):
        """Of a schema, or of one of the two that a reply's has: its errors read better one by one."""
        if (path, branch) not in self.validators:
            schema = self.schemas[path]
            if branch is not None:
                schema = schema["oneOf"][branch] | {"definitions": schema.get("definitions", {})}
            self.validators[path, branch] = Draft7Validator(schema)
        return self.validators[path, branch]

    def validate(self):
        chance = random.Random(1)
        for path, values in self.waiting.items():
            for value, source in chance.sample(values, min(len(values), MOST_EACH)):
                is_either = path.endswith(".reply.v1.json") and "oneOf" in self.schemas[path]
                branch = ("error" in value) * 1 if is_either and isinstance(value, dict) else None
                error = best_match(self.validator(path, branch).iter_errors(value))
                if error is not None:
                    place = "/" + "/".join(map(str, error.absolute_path))
                    self.wrong[path].append(f"{place}: {error.message[:300]}\n    in {source[:600]}")


def request_schema(subject):
    """The command that a subject asks for, as its schemas are named; None where it is none."""
    tokens = subject.split(".")
    if tokens[0] == "$SRV" and len(tokens) > 1:
        return f"micro/{tokens[1].lower()}"
    if len(tokens) == 5 and tokens[1] in ("cmd", "submit"):  # the same commands
        return f"commands/{tokens[3]}.{tokens[4]}"
    if len(tokens) == 4 and tokens[1] == "admin":
        return f"commands/admin.{tokens[2]}.{tokens[3]}"
    if tokens[1:] == ["help"]:
        return "commands/help"
    return None


def parse(line):
    """A message's body as JSON: {} for none, None where it is none."""
    text = line.get("body")
    if text is None:
        return None
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return {} if value is None else value


def read_file(path, traffic):
    requests, replies, submitted, accepted = {}, [], [], set()
    reports, flawed = [], set()
    for text in path.read_text().splitlines():
        line = json.loads(text)
        subject, tokens = line["subject"], line["subject"].split(".")
        if subject.startswith("_INBOX."):
            replies.append(line)
        elif len(tokens) > 1 and tokens[1] == "evt":
            event = parse(line)
            if not isinstance(event, dict):
                traffic.wrong["events"].append(f"no JSON object: {text[:300]}")
                continue
            traffic.expect(f"events/{tokens[3]}.{tokens[4]}.v1.json", event, line.get("body", ""))
            if line["headers"].get("Nats-Msg-Id") != event.get("id"):
                traffic.wrong["events"].append(f"Nats-Msg-Id is not the event's id: {text[:300]}")
            if tokens[4] == "command_accepted":
                accepted.add(event["data"]["request_id"])
            if tokens[4] == "report_problem":
                flawed.add(event["data"]["report_subject"])
            if tokens[4] in ("command_rejected", "report_problem"):
                traffic.codes[event["data"]["error"]["err_code"]] += 1
        elif len(tokens) == 5 and tokens[1] == "run":
            reports.append(line)
        elif len(tokens) == 4 and tokens[1] == "dlq":
            traffic.expect("dead-letter.v1.json", parse(line), text)
        elif "Scheduler-Execution-Id" in line["headers"]:
            traffic.expect("fired-message.headers.v1.json", line["headers"], text)
        elif len(tokens) > 1 and tokens[1] == "submit":
            submitted.append(line)
        elif request_schema(subject) and line.get("reply"):
            requests[line["reply"]] = line
    for line in replies:
        request = requests.get(line["subject"])
        if request is not None:
            read_exchange(request, line, traffic)
        else:
            read_reply(line, traffic)
    for line in reports:
        # Nobody answers them; of those that could not be taken as they are an event tells.
        body = parse(line)
        if line["subject"] not in flawed and body is not None:
            traffic.expect(f"reports/{line['subject'].rpartition('.')[2]}.v1.json", body, line["body"])
    for line in submitted:
        # The stream answers these, if anybody does; an event tells whether it was carried out.
        body = parse(line)
        name = request_schema(line["subject"])
        key = body.get("request_id") or line["headers"].get("Nats-Msg-Id") if isinstance(body, dict) else None
        if name and key in accepted:
            traffic.expect(f"{name}.request.v1.json", body, line["body"])


def read_reply(line, traffic):
    """A reply whose request was not noted any more: its type tells what it answers, unless two commands share it."""
    reply = parse(line)
    kind = reply.get("type", "") if isinstance(reply, dict) else ""
    if not isinstance(kind, str) or not kind.startswith("io.carillon.v1."):
        return
    if "error" in reply:
        traffic.codes[reply["error"].get("err_code")] += 1
    paths = [path for path, schema in traffic.schemas.items()
             if "oneOf" in schema and schema["oneOf"][0]["properties"].get("type", {}).get("const") == kind]
    if len(paths) < 2:
        traffic.expect(paths[0] if paths else "commands/error.reply.v1.json", reply, line["body"])


def read_exchange(request, line, traffic):
    name = request_schema(request["subject"])
    if line["headers"].get("Status") == "503" or "body" not in line:
        return  # nobody listened, or it is too long to have been noted
    reply = parse(line)
    if name.startswith("micro/"):
        return traffic.expect(f"{name}.v1.json", reply, line["body"])
    is_text = name == "commands/help" and reply is None
    if not is_text and not isinstance(reply, dict):
        return traffic.wrong[name].append(f"the reply is no object: {line['body'][:300]}")
    error = reply.get("error") if not is_text else None
    is_refused = error is not None or (is_text and "Nats-Service-Error" in line["headers"])
    if error is not None:
        traffic.codes[error.get("err_code")] += 1
        if line["headers"].get("Nats-Service-Error-Code") != str(error.get("code")):
            traffic.wrong[name].append(f"the headers do not say the error: {line['body'][:300]}")
    if f"{name}.reply.v1.json" not in traffic.schemas and is_refused:
        name_of_reply = "commands/error.reply.v1.json"
    else:
        name_of_reply = f"{name}.reply.v1.json"
    if not is_text:
        traffic.expect(name_of_reply, reply, line["body"])
    if not is_refused:
        body = request.get("body")
        value = parse(request)
        if name == "commands/help" and value is None:
            value = body  # a name without quotes
        if name == "commands/schedule.bulk_create" and value is not None:
            value = carried_out(value, reply)
        if body is not None and value is not None:
            traffic.expect(f"{name}.request.v1.json", value, body)


def carried_out(value, reply):
    """A request of many without the items that were refused; None where none is left."""
    refused = {result["index"] for result in reply["results"] if "error" in result}
    items = [item for index, item in enumerate(value["schedules"]) if index not in refused]
    return value | {"schedules": items} if items else None


def complete(traffic):
    """What a run of all tests must have shown."""
    expected = {path for path in traffic.schemas if path.split("/")[0] in ("commands", "events", "micro", "reports")}
    expected |= {"fired-message.headers.v1.json", "dead-letter.v1.json"}
    problems = [f"no message was seen for {path}" for path in sorted(expected - set(traffic.seen) - set(NOT_SEEN))]
    problems += [f"{path} was seen after all; take it out of NOT_SEEN" for path in NOT_SEEN if path in traffic.seen]
    registry = {int(code) for code in re.findall(r"^\| (\d{5}) \|", (ROOT / "docs/errors.md").read_text(), re.M)}
    raised = set(traffic.codes)
    problems += [f"no test raises {code}" for code in sorted(registry - raised - {*NOT_RAISED, *BY_CHANCE})]
    problems += [f"{code} was raised after all; take it out of NOT_RAISED" for code in sorted(raised & set(NOT_RAISED))]
    problems += [f"docs/errors.md does not have {code}" for code in sorted(raised - registry)]
    return problems


def main():
    folder, is_complete = Path(sys.argv[1]), "--complete" in sys.argv[2:]
    traffic = Traffic()
    files = sorted(folder.glob("*.ndjson"))
    for path in files:
        read_file(path, traffic)
    traffic.validate()
    for path, problems in sorted(traffic.wrong.items()):
        print(f"traffic: {path}: {len(problems)} wrong")
        for problem in problems[:MOST_SHOWN // max(1, len(traffic.wrong)) + 1]:
            print(f"  {problem}")
    missing = complete(traffic) if is_complete else []
    for problem in missing:
        print(f"traffic: {problem}")
    print(f"traffic: {sum(traffic.seen.values())} messages of {len(files)} recordings, {len(traffic.seen)} schemas, "
          f"{len(traffic.codes)} error codes")
    if not files and is_complete:
        sys.exit("traffic: nothing was recorded")
    sys.exit(1 if traffic.wrong or missing else 0)


if __name__ == "__main__":
    main()
