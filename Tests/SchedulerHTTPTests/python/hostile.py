"""Clients that mean harm, or are careless, against a server whose limits are half a second: hostile.py <port>"""

import http.client
import json
import socket
import sys
import time

PORT = int(sys.argv[1])
HOST = f"127.0.0.1:{PORT}"
PATIENCE = 15  # seconds, for what the server ends after half of one


def request(method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply, content


def raw(text):
    client = socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE)
    client.sendall(text.encode("latin-1"))
    return client


def until_closed(client, most=1 << 30):
    """What comes until the server ends the connection."""
    received = b""
    try:
        while len(received) < most and (part := client.recv(1 << 16)):
            received += part
    except ConnectionResetError:
        pass
    client.close()
    return received


def expect_well():
    reply, content = request("GET", "/live")
    assert reply.status == 200 and json.loads(content) == {"status": "live"}, (reply.status, content)


def code(content):
    return json.loads(content)["error"]["err_code"]


def methods():
    namespace = {"Scheduler_Namespace": "demo"}
    reply, content = request("GET", "/ready")
    assert reply.status == 503 and json.loads(content)["reasons"] == ["the lease is lost"]
    reply, content = request("HEAD", "/api/v1/schedules", **namespace)
    assert reply.status == 200 and not content and reply.getheader("Content-Length") == "2"
    reply, content = request("OPTIONS", "/api/v1/schedules")
    assert reply.status == 204 and reply.getheader("Allow") == "GET, HEAD, OPTIONS, POST", reply.getheaders()
    assert not [name for name, _ in reply.getheaders() if name.lower().startswith("access-control")]
    reply, content = request("DELETE", "/api/v1/schedules", **namespace)
    assert reply.status == 405 and code(content) == 10406 and "POST" in reply.getheader("Allow")
    reply, content = request("POST", "/live")
    assert reply.status == 405 and reply.getheader("Allow") == "GET, HEAD, OPTIONS"
    for path in ("/", "/api/v1/nothing", "/api/v1/schedules/", "/api/v2/schedules"):
        reply, content = request("GET", path, **namespace)
        assert reply.status == 404 and code(content) == 10404, path
    reply, content = request("POST", "/api/v1/schedules/a/pause", "{}", **namespace)
    assert reply.status == 429 and reply.getheader("Retry-After") == "2", reply.getheaders()
    reply, content = request("GET", "/api/v1/events?schedule_id=01a1fd73-4b71-7e15-b464-f0143fffdf21", **namespace)
    assert reply.status == 503 and code(content) == 50506 and reply.getheader("Retry-After") == "1"
    for type in ("text/plain", "application/json; charset=latin-1", "application/x-www-form-urlencoded"):
        reply, content = request("POST", "/api/v1/schedules", "{}", **namespace, Content_Type=type)
        assert reply.status == 415 and code(content) == 10415, type
    for type in ("application/json", "application/merge-patch+json", 'application/json; charset="UTF-8"'):
        reply, content = request("PATCH", "/api/v1/schedules/a", '{"description":"b"}', **namespace, Content_Type=type)
        assert reply.status == 200 and json.loads(content) == {"name": "a", "description": "b"}, (type, content)
    reply, content = request("POST", "/api/v1/schedules", "{}", **namespace, Content_Encoding="gzip")
    assert reply.status == 415
    reply, content = request("DELETE", "/api/v1/schedules/a?dry_run=true", **namespace, X_Request_Id="r1")
    assert json.loads(content) == {"name": "a", "dry_run": True, "request_id": "r1"}, content
    assert reply.getheader("X-Request-Id") == "r1"
    reply, content = request("DELETE", "/api/v1/schedules/a", **namespace, Idempotency_Key="k" * 129)
    assert reply.status == 422 and code(content) == 10426, content
    reply, content = request("DELETE", "/api/v1/schedules/a", **namespace, Idempotency_Key="k", X_Request_Id="r")
    assert json.loads(content) == {"name": "a", "request_id": "k"}, content
    reply, content = request("GET", "/api/v1/schedules")
    assert reply.status == 400 and code(content) == 10401, content


def browsers():
    """Without tokens a page of somebody else must not reach what listens on its reader's machine."""
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"},
                    {"Host": f"127.0.0.1.evil.example:{PORT}"}):
        reply, content = request("POST", "/api/v1/schedules", "{}", Scheduler_Namespace="demo", **headers)
        assert reply.status == 403 and code(content) == 30408, (headers, content)
    reply, _ = request("POST", "/api/v1/schedules", "{}", Scheduler_Namespace="demo", Origin=f"http://{HOST}")
    assert reply.status == 200
    reply, _ = request("POST", "/api/v1/schedules", "{}", Scheduler_Namespace="demo", Host=f"localhost:{PORT}")
    assert reply.status == 200


def too_large():
    head = f"POST /api/v1/schedules HTTP/1.1\r\nHost: {HOST}\r\nScheduler-Namespace: demo\r\n"
    received = until_closed(raw(head + "Content-Length: 1048577\r\n\r\n"))
    assert b" 413 " in received and b'"err_code":10413' in received and b"Connection: close" in received, received
    endless = raw(head + "Transfer-Encoding: chunked\r\n\r\n")
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            endless.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        raise AssertionError("it is taken without an end")
    except (ConnectionResetError, BrokenPipeError):
        pass
    endless.close()
    # To a path that does not exist, and without a word of a body that is announced.
    received = until_closed(raw(f"POST /nowhere HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 999999999\r\n\r\n"))
    assert b" 404 " in received
    reply, content = request("GET", "/" + "a" * 9000)
    assert reply.status in (400, 413), reply.status
    received = until_closed(raw(f"GET /live HTTP/1.1\r\nHost: {HOST}\r\nA: " + "b" * 100_000 + "\r\n\r\n"))
    assert received.startswith(b"HTTP/1.1 4") or received == b"", received[:100]
    # A client that asks first is told to go on, and its body is taken.
    asking = raw(head + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert asking.recv(1 << 16).startswith(b"HTTP/1.1 100 "), "no 100"
    asking.sendall(b"{}")
    assert b"HTTP/1.1 200 " in until_closed(asking, most=15)


def malformed():
    texts = ("\r\n\r\n\r\n", "GET\r\n\r\n", "GET /live\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "GET /live HTTP/9.9\r\n\r\n",
                 f"GET /live HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: x\r\n\r\n",
                 f"POST /api/v1/schedules HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                 f"GET /live HTTP/1.1\r\nHost: {HOST}\r\n bad: x\r\n\r\n", "GET /%00%zz HTTP/1.1\r\n\r\n")
    for text, client in [(text, raw(text)) for text in texts]:
        received = until_closed(client)
        assert received == b"" or received.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 2")), (text, received)
    # Two at once, on one connection.
    two = raw(f"GET /live HTTP/1.1\r\nHost: {HOST}\r\n\r\n" * 2)
    assert until_closed(two).count(b"HTTP/1.1 200") == 2


def cut_short():
    """What ends before its body does is no request, though its path and query would make one."""
    for text in ("Content-Length: 30\r\n\r\n", "Content-Length: 30\r\n\r\n  ", "Transfer-Encoding: chunked\r\n\r\n",
                 "Transfer-Encoding: chunked\r\n\r\n2\r\n  \r\n"):
        client = raw(f"DELETE /api/v1/schedules/precious HTTP/1.1\r\nHost: {HOST}\r\nScheduler-Namespace: demo\r\n" + text)
        client.shutdown(socket.SHUT_WR)
        received = until_closed(client)
        assert b" 200 " not in received, (text, received)


def slow():
    """A hundred that never come to an end, byte by byte; others are answered meanwhile."""
    heads = [raw(f"GET /live HTTP/1.1\r\nHost: {HOST}\r\nX: ") for _ in range(50)]
    bodies = [raw(f"POST /api/v1/schedules HTTP/1.1\r\nHost: {HOST}\r\nScheduler-Namespace: demo\r\n"
                  "Content-Length: 1000\r\n\r\n") for _ in range(50)]
    alive, deadline = heads + bodies, time.monotonic() + PATIENCE
    while alive:
        assert time.monotonic() < deadline, f"{len(alive)} are still there"
        expect_well()
        still = []
        for client in alive:
            try:
                client.sendall(b" ")
                client.settimeout(0.001)
                if client.recv(1 << 16):
                    still.append(client)
            except (TimeoutError, socket.timeout):
                still.append(client)
            except (ConnectionResetError, BrokenPipeError):
                pass
        alive = still


def slow_readers():
    """Who does not read what it asked for is cut off: what had been sent by then is all there is."""
    metrics = raw(f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
    events = raw(f"GET /api/v1/events HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
    slow()  # which takes longer than they have
    assert len(until_closed(metrics)) < 32 << 20
    assert until_closed(events).startswith(b"HTTP/1.1 200 ")


def followers():
    head = f"GET /api/v1/events?event=execution.dead HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    clients = [raw(head) for _ in range(3)]
    for client in clients:
        received = b""
        while b": keep-alive\n\n" not in received:
            received += client.recv(1 << 16)
        assert b"retry: 1000\n\n" in received and b"text/event-stream" in received, received
    reply, content = request("GET", "/api/v1/events?event=execution.dead")
    assert reply.status == 429 and code(content) == 40429
    clients[0].close()
    deadline = time.monotonic() + PATIENCE
    while True:  # Its place is free again.
        again = raw(head)
        if b" 200 " in again.recv(1 << 16):
            break
        assert time.monotonic() < deadline
    reply, _ = request("HEAD", "/api/v1/events")
    assert reply.status == 200 and reply.getheader("Content-Type") == "text/event-stream"


for step in (methods, browsers, too_large, malformed, cut_short, slow_readers, followers):
    print(step.__name__, flush=True)
    step()
    expect_well()
print("done")
