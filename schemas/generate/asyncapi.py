"""asyncapi.yaml: where everything is said. Subjects are those of the prefix `scheduler`."""

import json

from catalogue import COMMANDS, is_changing
from events import EVENTS
from reports import REPORTS

FORMAT = "application/schema+json;version=draft-07"
PARAMETERS = {
    "namespace": {"description": "The creator's identity, pinned by the server's permissions."},
    "schedule_id": {"description": "The schedule's id."},
    "instance": {"description": "The instance's id."},
    "execution_id": {"description": "The execution's id."},
    "target": {"description": "The schedule's target_command."},
    "noun": {"description": "As in the command's name."},
    "verb": {"description": "As in the command's name."},
}


def message(path, text, **more):
    return {"summary": text, "contentType": "application/json",
            "payload": {"schemaFormat": FORMAT, "schema": {"$ref": f"./{path}"}}} | more


def channel(address, text, messages, parameters=()):
    result = {"address": address, "description": text}
    if parameters:
        result["parameters"] = {name: {"$ref": f"#/components/parameters/{name}"} for name in parameters}
    if messages:
        result["messages"] = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return result


def operation(action, name, text, messages, reply=()):
    def of(channel, messages):
        return [{"$ref": f"#/channels/{channel}/messages/{message}"} for message in messages]

    result = {"action": action, "channel": {"$ref": f"#/channels/{name}"}, "summary": text,
              "messages": of(name, messages)}
    if reply:
        result["reply"] = {"channel": {"$ref": "#/channels/reply"}, "messages": of("reply", reply)}
    return result


def document(version):
    channels, operations, messages = {}, {}, {}
    for name in COMMANDS:
        request, reply = f"{name}.request", f"{name}.reply"
        is_admin = name.startswith("admin.")
        address = f"scheduler.{name}" if is_admin else f"scheduler.cmd.{{namespace}}.{name}"
        messages[request] = message(f"commands/{name}.request.v1.json", f"{name}, asked")
        messages[reply] = message(f"commands/{name}.reply.v1.json", f"{name}, answered: the result, or an error")
        channels[name] = channel(address, "Any instance answers.", [request], [] if is_admin else ["namespace"])
        operations[name] = operation("receive", name, name, [request], [reply])
    messages["help.request"] = message("commands/help.request.v1.json", "help, asked; empty for all")
    messages["help.reply"] = message(
        "commands/help.reply.v1.json", "help for programs; without format: json it is text")
    channels["help"] = channel("scheduler.help", "What commands there are, with lines to paste.", ["help.request"])
    operations["help"] = operation("receive", "help", "help", ["help.request"], ["help.reply"])
    for verb in ("ping", "info", "stats"):
        reply = f"micro.{verb}.reply"
        messages[f"micro.{verb}.request"] = {"summary": "empty", "payload": {"type": ["null", "string"]}}
        messages[reply] = message(f"micro/{verb}.v1.json", f"discovery (ADR-32): {verb}")
        channels[f"micro.{verb}"] = channel(
            f"$SRV.{verb.upper()}", f"Every instance answers; also under $SRV.{verb.upper()}.carillon[.<id>].",
            [f"micro.{verb}.request"])
        operations[f"micro.{verb}"] = operation(
            "receive", f"micro.{verb}", f"discovery: {verb}", [f"micro.{verb}.request"], [reply])
    channels["reply"] = {
        "address": None, "description": "The reply subject of the request.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages if name.endswith(".reply")}}
    submitted = [f"{name}.request" for name in COMMANDS if is_changing(name) and not name.startswith("admin.")]
    channels["submit"] = channel(
        "scheduler.submit.{namespace}.{noun}.{verb}",
        "The commands that change something, durable: kept in the stream SCHEDULER_COMMANDS while no instance runs; "
        "schedule.command_accepted and schedule.command_rejected tell what became of each.",
        submitted, ["namespace", "noun", "verb"])
    operations["submit"] = operation("receive", "submit", "A command that nobody waits for.", submitted)
    for name, (text, _, _) in EVENTS.items():
        family, event = name.split(".")
        key = f"event.{name}"
        messages[key] = message(f"events/{name}.v1.json", text, contentType="application/cloudevents+json")
        address = (f"scheduler.evt._system.system.{event}.{{instance}}" if family == "system"
                   else f"scheduler.evt.{{namespace}}.{family}.{event}.{{schedule_id}}")
        channels[key] = channel(address, "Kept in the stream SCHEDULER_EVENTS.", [key],
                                ["instance"] if family == "system" else ["namespace", "schedule_id"])
        operations[key] = operation("send", key, text, [key])
    messages["fired"] = {
        "summary": "The payload of the schedule, byte for byte.", "contentType": "application/json",
        "headers": {"schemaFormat": FORMAT, "schema": {"$ref": "./fired-message.headers.v1.json"}}, "payload": {}}
    channels["fired"] = channel("{target}", "What is fired, where the schedule says.", ["fired"], ["target"])
    operations["fired"] = operation("send", "fired", "A command at its time.", ["fired"])
    for kind, (text, _) in REPORTS.items():
        key = f"report.{kind}"
        kept = "" if kind == "heartbeat" else " Kept in the stream SCHEDULER_COMMANDS."
        messages[key] = message(f"reports/{kind}.v1.json", text)
        channels[key] = channel(f"scheduler.run.{{namespace}}.{{execution_id}}.{kind}",
                                f"A worker's report on a tracked execution.{kept}", [key], ["namespace", "execution_id"])
        operations[key] = operation("receive", key, text, [key])
    messages["stop"] = message("reports/cancel.v1.json", "The worker shall stop.")
    channels["stop"] = channel("scheduler.run.{namespace}.{execution_id}.cancel", "Said once, to whoever listens.",
                               ["stop"], ["namespace", "execution_id"])
    operations["stop"] = operation("send", "stop", "The worker shall stop.", ["stop"])
    messages["dead_letter"] = message("dead-letter.v1.json", "An execution gave up.")
    channels["dead_letter"] = channel("scheduler.dlq.{namespace}.{schedule_id}", "Kept in the stream SCHEDULER_DLQ.",
                                      ["dead_letter"], ["namespace", "schedule_id"])
    operations["dead_letter"] = operation("send", "dead_letter", "An execution gave up.", ["dead_letter"])
    used = {name for channel in channels.values() for name in channel.get("parameters", {})}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Carillon", "version": version, "license": {"name": "Apache-2.0"},
                 "description": "A scheduler for NATS: it sends commands at a time, on a rhythm, or when asked.\n"
                                "Written by schemas/generate; a change is made there."},
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats", "description": "Your nats-server."}},
        "channels": channels, "operations": operations,
        "components": {"messages": messages,
                       "parameters": {name: text for name, text in PARAMETERS.items() if name in used}},
    }


def yaml(value, indent=0):
    """Block YAML of objects, lists and scalars; texts are written as JSON has them."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            name = key if key.replace("_", "").replace(".", "").isalnum() else json.dumps(key)
            if isinstance(item, (dict, list)) and item:
                lines += [f"{pad}{name}:", yaml(item, indent + 1)]
            else:
                lines.append(f"{pad}{name}: {scalar(item)}")
        return "\n".join(lines)
    if isinstance(value, list) and value:
        return "\n".join(f"{pad}- {yaml(item, indent + 1).lstrip()}" for item in value)
    return pad + scalar(value)


def scalar(value):
    return json.dumps(value, ensure_ascii=False)
