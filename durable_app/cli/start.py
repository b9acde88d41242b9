"""``func start``: runs the app of a folder until a signal comes."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_app.compose.host import HostOptions

_MAX_PORT = 65535


def start(argv: Sequence[str]) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except KeyboardInterrupt:
        return 0  # Ctrl+C before the host was up: most of that time goes into imports


def _run(args: argparse.Namespace) -> int:
    import asyncio

    from durable_app.compose.host import HostOptions
    from durable_app.errors import DurableError

    options = HostOptions(
        script_root=Path(args.script_root),
        port=args.port,
        address=args.address,
        verbose=args.verbose,
        hub=args.hub,
        store=args.store,
    )
    try:
        return asyncio.run(_serve(options))
    except DurableError as error:
        print(error, file=sys.stderr)
        return 1


async def _serve(options: HostOptions) -> int:
    from durable_app.compose.host import run_host
    from durable_app.host.lifecycle import Deadline, on_signals

    # asyncio would hold the first Ctrl+C back until the app's imports are over.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    deadline = Deadline()
    async with run_host(options) as host:
        on_signals(host.stop.request, deadline)
        await host.stop.wait()
        deadline.begin()
        error = host.stop.error
    deadline.exit_code = 0 if error is None else 1
    if error is not None:
        print(f"The host has stopped: {error}", file=sys.stderr)
    return deadline.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="func start", description="Run the app of a folder on this machine."
    )
    parser.add_argument(
        "-p", "--port", type=_port, metavar="N", help="port of the HTTP server (7071)"
    )
    parser.add_argument("--address", metavar="IP", help="address to listen on (127.0.0.1)")
    parser.add_argument("--verbose", action="store_true", help="show what the host itself does")
    parser.add_argument(
        "--script-root", "--prefix", default=".", metavar="DIR", help="folder of the app (.)"
    )
    parser.add_argument(
        "--hub",
        metavar="WHERE",
        help="task hub: auto, embedded or remote (env DURABLE_APP_HUB; auto)",
    )
    parser.add_argument(
        "--store",
        metavar="WHAT",
        help="sqlite:PATH or memory (env DURABLE_APP_STORE; .durable/<hub>.db)",
    )
    parser.add_argument(
        "-t",
        "--timeout",
        type=int,
        metavar="S",
        help="accepted for the sake of Core Tools' command lines; starting waits for nothing",
    )
    return parser


def _port(text: str) -> int:
    if text.isdigit() and int(text) <= _MAX_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no port: 0 to {_MAX_PORT}, 0 for a free one")
