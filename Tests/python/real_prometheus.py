"""Runs a Prometheus on a page of metrics, waits for an alert, and asks it every query of a dashboard.

real_prometheus.py PROMETHEUS FOLDER ALERTS DASHBOARD ALERT: FOLDER has the page, as `metrics`, and takes all that is
written. Servers listen on 127.0.0.1, on free ports, and end with this program.
"""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Page(http.server.BaseHTTPRequestHandler):
    text = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *_):
        pass


def ask(base, path, **query):
    url = f"{base}{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)["data"]


def until(seconds, question):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = question()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.2)
    return None


def check(base, dashboard, alert):
    firing = until(30, lambda: [a for a in ask(base, "/api/v1/alerts")["alerts"]
                                if a["labels"]["alertname"] == alert and a["state"] == "firing"])
    if not firing:
        return [f"{alert} does not fire"]
    empty = []
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            # Rates need two scrapes; what is wrong in itself is a 400, and ends this program.
            query = target["expr"].replace("$__rate_interval", "1m").replace("$job", ".*")
            if not until(20, lambda: ask(base, "/api/v1/query", query=query)["result"]):
                empty.append(f"{panel['title']}: no data for {query}")
    return empty


def main():
    prometheus, folder, alerts, dashboard, alert = sys.argv[1:]
    with open(os.path.join(folder, "metrics"), "rb") as page:
        Page.text = page.read()
    with open(dashboard) as file:
        panels = json.load(file)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [os.path.abspath(alerts)],
        "scrape_configs": [
            {"job_name": "carillon", "static_configs": [{"targets": [f"127.0.0.1:{server.server_address[1]}"]}]}
        ],
    }
    path = os.path.join(folder, "prometheus.yaml")
    with open(path, "w") as file:
        json.dump(config, file)
    port = free_port()
    process = subprocess.Popen(
        [prometheus, f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"], cwd=folder)
    try:
        problems = check(f"http://127.0.0.1:{port}", panels, alert)
    finally:
        process.terminate()
        process.wait(10)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
