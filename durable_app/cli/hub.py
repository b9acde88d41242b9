"""``func hub start``: task hubs alone, for workers and clients of any language."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from durable_app.cli.options import CommandParser, command_parser, port_number
from durable_app.cli.serving import run_until_done

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from durable_app.compose.hub_service import HubServiceOptions

_DEFAULT_STORE: Final = Path(".durable") / "hub.db"


def hub(argv: Sequence[str]) -> int:
    """Run ``func hub start`` until SIGINT or SIGTERM; return the exit code."""
    args = _parser().parse_args(argv)
    return run_until_done(lambda: _serve(_options(args)), debug=args.debug)


async def _serve(options: HubServiceOptions) -> int:
    from durable_app.compose.hub_service import run_hub_service
    from durable_app.host.lifecycle import Deadline, on_signals

    signal.signal(signal.SIGINT, signal.default_int_handler)
    deadline = Deadline()
    async with run_hub_service(options) as hubs:
        on_signals(hubs.stop.request, deadline)
        for line in hubs.lines:
            print(line, flush=True)
        print("Press Ctrl+C to stop.", flush=True)
        await hubs.stop.wait()
        deadline.begin()
        error = hubs.stop.error
    if error is not None:
        print(f"The task hub has stopped: {error}", file=sys.stderr)
        return 1
    deadline.finish(0)
    return 0


def _options(args: argparse.Namespace) -> HubServiceOptions:
    from durable_app.compose.hub_service import (
        HubServiceOptions,
        has_dynamic_hubs,
        hub_names,
    )
    from durable_app.connection.admission import TOKEN_SETTING
    from durable_app.host.config.hub_choice import store_path

    wanted = args.store or os.environ.get("DURABLE_APP_STORE")
    return HubServiceOptions(
        store=store_path(wanted, Path(args.script_root) / _DEFAULT_STORE),
        address=args.address,
        port=args.port,
        health_port=args.health_port,
        names=tuple(args.task_hubs) or hub_names(os.environ),
        is_dynamic=has_dynamic_hubs(os.environ) or args.dynamic,
        token=os.environ.get(TOKEN_SETTING) or None,
        certificate=args.tls_cert,
        key=args.tls_key,
        is_open=args.allow_anonymous,
        dashboard_port=args.dashboard_port,
    )


def _parser() -> CommandParser:
    parser = command_parser(
        "func hub",
        "Serve task hubs over gRPC, in place of the emulator of Azure's Durable Task Scheduler.",
    )
    add = parser.add_argument
    add("action", choices=("start",), help="start: serve until Ctrl+C")
    add("--port", type=port_number, default=8080, metavar="N", help="port of gRPC (8080)")
    add(
        "--health-port",
        type=port_number,
        default=8081,
        metavar="N",
        help="port of /healthz and /metrics (8081)",
    )
    add(
        "--dashboard-port",
        type=port_number,
        metavar="N",
        help="port of the dashboard (8082); reserved, not opened yet",
    )
    add(
        "--address",
        default="localhost",
        metavar="IP",
        help="address to listen on (localhost: 127.0.0.1, and ::1 where this machine has it)",
    )
    add(
        "--store",
        metavar="WHAT",
        help=f"sqlite:PATH or memory (env DURABLE_APP_STORE; {_DEFAULT_STORE})",
    )
    add(
        "--task-hubs",
        nargs="+",
        default=[],
        metavar="NAME",
        help="hubs to serve, besides those that the file knows (env DTS_TASK_HUB_NAMES; default)",
    )
    add(
        "--dynamic",
        action="store_true",
        help="make hubs when they are asked for (env DTS_USE_DYNAMIC_TASK_HUBS)",
    )
    secure = parser.add_argument_group("security").add_argument
    secure("--tls-cert", type=Path, metavar="FILE", help="certificate chain, PEM")
    secure("--tls-key", type=Path, metavar="FILE", help="its private key, PEM")
    secure(
        "--allow-anonymous",
        action="store_true",
        help="listen on other addresses than loopback ones although no token is set"
        " (env DURABLE_APP_HUB_TOKEN)",
    )
    return parser
