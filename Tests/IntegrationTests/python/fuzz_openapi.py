"""Lets schemathesis ask what the OpenAPI document allows, and what it forbids: fuzz_openapi.py <address> <examples each>

What it looks for: no 5xx but what the document has, no reply that the document does not describe, nothing taken that the
document forbids, no method answered that it does not have. That everything is taken that the document allows cannot be
asked: what a schema cannot say (an expression, a zone, the allow-list) the service checks.
"""

import http.client
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

ADDRESS, EXAMPLES = sys.argv[1:]
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "negative_data_rejection", "unsupported_method", "allow_header_conformance",
          "ignored_auth"]


def clear_up():
    """Nothing that was made by chance fires."""
    headers = {"Authorization": "Bearer fuzz-token", "Content-Type": "application/json"}
    while True:
        connection = http.client.HTTPConnection(urlsplit(ADDRESS).netloc, timeout=20)
        connection.request("GET", "/api/v1/schedules?limit=1000", headers=headers)
        found = [schedule["id"] for schedule in json.load(connection.getresponse())["schedules"]]
        if not found:
            return
        connection.request("POST", "/api/v1/schedules/bulk/operation",
                           json.dumps({"ids": found, "operation": "delete"}), headers)
        connection.getresponse().read()


program = Path(sys.executable).parent / "schemathesis"
try:
    # The events never end; drain would end the instance, and has nothing to draw by chance. An administrator's changes
    # are refused to this token, which is a reply like others.
    # It leaves a folder of its own where it runs.
    with tempfile.TemporaryDirectory() as folder:
        status = subprocess.run(
            [program, "run", ADDRESS + "/api/v1/openapi.json", "--url", ADDRESS, "--header", "Authorization: Bearer fuzz-token",
             "--exclude-path", "/api/v1/events", "--phases", "fuzzing" if EXAMPLES == "1" else "coverage,fuzzing",
             "--max-examples", EXAMPLES, "--checks", ",".join(CHECKS), "--suppress-health-check", "all", "--warnings", "off",
             "--no-color", "--continue-on-failure", "--no-shrink"],
            check=False, cwd=folder).returncode
finally:
    clear_up()
sys.exit(status)
