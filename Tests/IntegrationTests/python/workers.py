"""Workers that the project did not write: a micro service of nats-py, and plain subscribers.

Usage: workers.py <nats url>. Prints `ready` and answers until it is ended.
"""
import asyncio
import json
import sys

import nats
from nats import micro
from nats.micro.service import EndpointConfig, ServiceConfig


async def main(url):
    nc = await nats.connect(url)
    service = await micro.add_service(nc, ServiceConfig(name="workers", version="1.0.0", description="a test's"))

    async def good(request):
        headers = request.headers
        await request.respond(json.dumps({
            "got": json.loads(request.data), "execution": headers["Scheduler-Execution-Id"],
            "attempt": headers["Scheduler-Attempt"]}).encode())

    async def fatal(request):
        await request.respond_error("402", "no funds", b'{"fatal":true}')

    async def later(request):
        if request.headers["Scheduler-Attempt"] == "1":
            await request.respond_error("503", "busy", b'{"retry_after_seconds":0.05}')
        else:
            await request.respond(b"at last")

    async def fails(request):
        await request.respond_error("500", "always")

    for name, handler in (("good", good), ("fatal", fatal), ("later", later), ("fails", fails)):
        await service.add_endpoint(EndpointConfig(name=name, subject=f"demo.worker.{name}", handler=handler))

    async def plain(message):
        await message.respond(b"OK")

    async def silent(message):
        pass

    await nc.subscribe("demo.worker.plain", queue="workers", cb=plain)
    await nc.subscribe("demo.worker.silent", queue="workers", cb=silent)
    await nc.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
