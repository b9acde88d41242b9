"""WR: one remote worker process and its hub, beside a bare echo, and beside a peer.

Each pair is two processes on this machine that talk gRPC: a hub with SQLite and synchronous=FULL,
and our worker; a grpc.aio server and client that do the traffic of the protocol per activity (two
calls and two messages of a stream, 200 bytes each) and nothing else; the in-memory backend and the
worker of the package ``durabletask``, where it is installed, and that worker at our hub. All have
64 chains of 20 steps in flight.

    python -m benchmarks.load.remote
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.load.processes import end_on_sigterm, python, scratch_folder
from benchmarks.load.start_up import _free_port, figures_of

IN_FLIGHT = 64
STEPS = 20
_PAYLOAD = {"k": "customer-000042", "amount": 1999, "ok": True, "note": "x" * 120}
_BYTES = b"x" * 200
_CONNECT_S = 20.0


def remote(folder: Path) -> dict[str, Any]:
    """Activities per second of each pair, and the ratios between them."""
    hub = ("-m", "durable_app", "hub", "start", "--health-port", "0")
    result = {"echo_per_s": _pair(("-m", "benchmarks.load.remote", "echo-server"), "echo-client")}
    store = ("--store", f"sqlite:{folder / 'hub.db'}")
    result["activities_per_s"] = _pair((*hub, *store, "--port"), "worker")
    result["of_echo"] = result["activities_per_s"] / result["echo_per_s"]
    if importlib.util.find_spec("durabletask") is not None:
        peer = _pair(("-m", "benchmarks.load.remote", "peer-backend"), "peer-worker")
        result |= {"peer_per_s": peer, "times_peer": result["activities_per_s"] / peer}
        store = ("--store", f"sqlite:{folder / 'peer.db'}")
        result["peer_at_our_hub_per_s"] = _pair((*hub, *store, "--port"), "peer-worker")
    return result


def _pair(server: tuple[str, ...], client: str) -> float:
    """What the client process tells, with its server process beside it."""
    port = str(_free_port())
    with python(*server, port), python("-m", "benchmarks.load.remote", client, port) as process:
        found: float = figures_of(process)["per_s"]
    return found


# ---------------------------------------------------------------------------------------------
# Echo
# ---------------------------------------------------------------------------------------------


async def _echo_server(port: str) -> NoReturn:
    import grpc.aio

    waiting: asyncio.Queue[bytes] = asyncio.Queue()

    async def stream(_data: bytes, context: Any) -> None:
        for _ in range(IN_FLIGHT):
            waiting.put_nowait(_BYTES)
        while True:
            await context.write(await waiting.get())

    async def call(data: bytes, _context: Any) -> bytes:
        waiting.put_nowait(data)
        return b""

    server = grpc.aio.server()
    handlers = {
        "stream": grpc.unary_stream_rpc_method_handler(stream),
        "call": grpc.unary_unary_rpc_method_handler(call),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Echo", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()
    raise AssertionError("somebody has ended the server")


async def _echo_client(port: str) -> float:
    import grpc.aio

    count = IN_FLIGHT * STEPS
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await asyncio.wait_for(channel.channel_ready(), _CONNECT_S)
        answer = channel.unary_unary("/Echo/call")
        tasks: set[asyncio.Future[bytes]] = set()
        received = 0
        began = time.perf_counter()
        async for data in channel.unary_stream("/Echo/stream")(b""):
            received += 1
            if received == 2 * count:
                return count / (time.perf_counter() - began)
            task = asyncio.ensure_future(answer(data))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    raise AssertionError("the stream has ended")


# ---------------------------------------------------------------------------------------------
# Ours
# ---------------------------------------------------------------------------------------------


async def _worker(port: str) -> float:
    import durable_app as df
    from durable_app.clock import SystemClock
    from durable_app.compose.remote import open_remote
    from durable_app.connection.endpoint import parse_endpoint
    from durable_app.connection.target import HubTarget
    from durable_app.functions.index import index_app
    from durable_app.ports import StartRequest
    from durable_app.worker.service import Worker, WorkerOptions

    app = df.DFApp()

    @app.activity_trigger(input_name="value")
    def noop(value: Any) -> Any:
        return value

    @app.orchestration_trigger(context_name="context")
    def chain(context: df.DurableOrchestrationContext) -> Any:
        for _ in range(STEPS):
            yield context.call_activity("noop", _PAYLOAD)

    clock = SystemClock()
    endpoint = parse_endpoint(f"http://127.0.0.1:{port}", "benchmark", encrypted=False)
    async with open_remote(HubTarget(endpoint, "default"), clock, {}, _fail) as remote:
        await _until(remote.hub.hello)
        worker = Worker(remote.work, index_app(app), WorkerOptions(), clock)
        worker.start()
        began = time.perf_counter()
        starts = (remote.hub.start(StartRequest("chain")) for _ in range(IN_FLIGHT))
        ids = await asyncio.gather(*starts)
        await asyncio.gather(*map(remote.hub.wait_for_completion, ids))
        taken = time.perf_counter() - began
        await worker.stop()
    return IN_FLIGHT * STEPS / taken


def _fail(error: BaseException) -> None:
    raise error


async def _until(connected: Callable[[], Awaitable[None]]) -> None:
    """Wait for the server process."""
    from durable_app.errors import DurableError

    until = time.monotonic() + _CONNECT_S
    while True:
        try:
            return await connected()
        except DurableError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.05)


# ---------------------------------------------------------------------------------------------
# The peer
# ---------------------------------------------------------------------------------------------


def _peer_backend(port: str) -> NoReturn:
    from durabletask.testing import create_test_backend

    backend = create_test_backend(port=int(port))
    try:
        threading.Event().wait()
    finally:
        backend.stop()
    raise AssertionError("nobody sets the event")


def _peer_worker(port: str) -> float:
    import grpc
    from durabletask import client, worker

    address = f"localhost:{port}"
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=_CONNECT_S)

    def noop(_context: Any, value: Any) -> Any:
        return value

    def chain(context: Any, _value: Any) -> Any:
        for _ in range(STEPS):
            yield context.call_activity(noop, input=_PAYLOAD)

    logging.disable(logging.WARNING)  # it would tell of every step, and of the end
    with worker.TaskHubGrpcWorker(host_address=address) as running:
        running.add_orchestrator(chain)
        running.add_activity(noop)
        running.start()
        starter = client.TaskHubGrpcClient(host_address=address)
        began = time.perf_counter()
        ids = [starter.schedule_new_orchestration(chain) for _ in range(IN_FLIGHT)]
        for instance_id in ids:
            starter.wait_for_orchestration_completion(instance_id, timeout=600)
        return IN_FLIGHT * STEPS / (time.perf_counter() - began)


def _play(role: str, port: str) -> float:
    if role == "peer-backend":
        _peer_backend(port)
    if role == "peer-worker":
        return _peer_worker(port)
    clients = {"echo-client": _echo_client, "worker": _worker, "echo-server": _echo_server}
    return asyncio.run(clients[role](port))


if __name__ == "__main__":
    end_on_sigterm()
    if len(sys.argv) > 1:
        print(json.dumps({"per_s": _play(sys.argv[1], sys.argv[2])}), flush=True)
    else:
        with scratch_folder() as scratch:
            print(json.dumps(remote(scratch), indent=1))
