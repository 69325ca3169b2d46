"""A collector of spans: takes OTLP over HTTP, reads it with OpenTelemetry's own definitions, and writes down what it read.

collector.py FILE ANSWERS [PORT]: ANSWERS is JSON, a list of answers in their order, each with "status" (200), "headers",
"body" and "delay" in seconds, or with "close", for one that never comes; behind the last all is taken. The first line of
FILE is {"port"}, each further one a request: {"path","headers","status","spans":[…]}, or {"error"} where it is no OTLP.
"""

import base64
import http.server
import json
import math
import re
import sys
import time

WIDTHS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def with_plain_ids(value):
    """OTLP's JSON has ids in hexadecimal where protobuf's has base64."""
    if isinstance(value, list):
        return [with_plain_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {}
    for name, item in value.items():
        if name in WIDTHS:
            assert re.fullmatch(f"[0-9a-f]{{{WIDTHS[name]}}}", item) and item.strip("0"), (name, item)
            item = base64.b64encode(bytes.fromhex(item)).decode()
        plain[name] = with_plain_ids(item)
    return plain


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    found = getattr(value, kind)
    # JSON has no word for them.
    return str(found) if isinstance(found, float) and not math.isfinite(found) else found


def attributes(pairs):
    names = [pair.key for pair in pairs]
    assert len(names) == len(set(names)), names
    return {pair.key: plain(pair.value) for pair in pairs}


def read(body):
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    # Names that the definitions do not know are refused.
    request = json_format.ParseDict(with_plain_ids(json.loads(body)), ExportTraceServiceRequest())
    spans = []
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            assert scope.scope.name and scope.scope.version
            for span in scope.spans:
                assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano, span
                spans.append(
                    {
                        "resource": attributes(resource.resource.attributes), "name": span.name,
                        "kind": Span.SpanKind.Name(span.kind), "trace": span.trace_id.hex(), "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(), "state": span.trace_state, "flags": span.flags,
                        "start": str(span.start_time_unix_nano), "end": str(span.end_time_unix_nano),
                        "attributes": attributes(span.attributes), "failed": span.status.code == 2,
                        "events": [{"name": event.name, "attributes": attributes(event.attributes)} for event in span.events],
                        "links": [link.trace_id.hex() for link in span.links],
                    }
                )
    return spans


class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers = []
    out = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.answers.pop(0) if self.answers else {}
        line = {"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}}
        line["status"] = answer.get("status", 200)
        try:
            assert self.headers["Content-Type"] == "application/json", self.headers
            line["spans"] = read(body)
        except Exception as error:
            line["error"] = f"{error!r}: {body[:2000]!r}"
        self.tell(line)
        time.sleep(answer.get("delay", 0))
        if answer.get("close"):
            self.close_connection = True
            return
        reply = answer.get("body", "{}").encode()
        self.send_response(line["status"])
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    @classmethod
    def tell(cls, line):
        cls.out.write(json.dumps(line) + "\n")
        cls.out.flush()

    def log_message(self, *_):
        pass


def main():
    path, answers, port = (*sys.argv[1:], "0")[:3]
    Collector.answers = json.loads(answers)
    Collector.out = open(path, "w")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Collector)
    Collector.tell({"port": server.server_port})
    server.serve_forever()


main()
