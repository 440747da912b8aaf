"""An instrumented process on a shared store, which exports its spans as lines of JSON.

    python -m tests.otel.node STORE

It serves WebSockets, prints its address, submits a command for each line of its input, and stops at the end of it.
"""

from __future__ import annotations

import asyncio
import json
import sys

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from sessionstream import Command, EventPublisher, Session
from sessionstream.hydration import stores
from sessionstream.otel import instrument
from sessionstream.transport.ws import WebSocketServer
from sessionstream.transport.ws.otel import OpenTelemetryObserver

from ..hub.support import App, registry, said, say
from ..transport.running import served


async def _say(command: Command, session: Session, publisher: EventPublisher) -> None:
    await publisher.publish(said())


async def main(location: str) -> None:
    """Serve and submit until the input ends."""
    tracers, meters = TracerProvider(), MeterProvider()
    tracers.add_span_processor(
        SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\n"))
    )
    async with stores.open(location, registry()) as store:
        app = App(store)
        app.hub.register_command("Say", _say)
        instrument(app.hub, meter_provider=meters, tracer_provider=tracers)
        server = WebSocketServer(app.hub, observer=OpenTelemetryObserver(meters, tracers))
        app.hub.set_fanout(server)
        async with app.hub, served(server) as address:
            print(json.dumps({"address": address}), flush=True)
            while await asyncio.to_thread(sys.stdin.readline):
                with tracers.get_tracer("app").start_as_current_span("request"):
                    await app.hub.submit("s", "Say", say())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
