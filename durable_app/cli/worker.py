"""``func worker``: runs an app's durable functions against a scheduler, without HTTP."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from durable_app.cli.options import CommandParser, command_parser, log_level, port_number
from durable_app.cli.serving import run_until_done

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from durable_app.compose.worker_plan import WorkerOptions


def worker(argv: Sequence[str]) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    args = _parser().parse_args(argv)
    return run_until_done(lambda: _serve(_options(args)), debug=args.debug)


def _options(args: argparse.Namespace) -> WorkerOptions:
    from durable_app.compose.worker_plan import WorkerOptions

    return WorkerOptions(
        Path(args.script_root),
        connection=args.connection_string,
        task_hub=args.task_hub,
        functions=tuple(args.functions),
        health_port=args.health_port,
        address=args.address,
        verbose=args.verbose,
        user_log_level=args.user_log_level,
        enable_json_output=args.enable_json_output,
        json_output_file=args.json_output_file,
    )


async def _serve(options: WorkerOptions) -> int:
    from durable_app.compose.worker_process import run_worker_process
    from durable_app.host.lifecycle import Deadline, on_signals

    # asyncio would hold the first Ctrl+C back until the app's imports are over.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    deadline = Deadline()
    async with run_worker_process(options) as running:
        deadline.before_exit = running.console.flush
        on_signals(running.stop.request, deadline)
        if running.health_port:
            running.console.line(
                f"Health and metrics: http://{options.address}:{running.health_port}/healthz,"
                " /metrics"
            )
        await running.stop.wait()
        deadline.begin()
        error = running.stop.error
        if error is None:
            running.console.always("Stopping: what runs may come to its end.")
    if error is not None:
        print(f"The worker has stopped: {error}", file=sys.stderr)
        return 1
    deadline.finish(0)
    return 0


def _parser() -> CommandParser:
    parser = command_parser(
        "func worker",
        "Run an app's orchestrations, activities and entities against a scheduler, without HTTP.",
    )
    add = parser.add_argument
    add(
        "--connection-string",
        metavar="TEXT",
        help="connection string of the scheduler, or the name of the setting that holds it"
        " (host.json's, else DURABLE_TASK_SCHEDULER_CONNECTION_STRING)",
    )
    add("--task-hub", metavar="NAME", help="name of the task hub (host.json, connection string)")
    add(
        "--functions",
        nargs="+",
        default=[],
        metavar="NAME",
        help="run only these functions (blanks between the names)",
    )
    health = parser.add_argument_group("health").add_argument
    health("--health-port", type=port_number, metavar="N", help="open /healthz and /metrics there")
    health("--address", default="127.0.0.1", metavar="IP", help="address of that port (127.0.0.1)")
    output = parser.add_argument_group("output").add_argument
    output(
        "--user-log-level", type=log_level, metavar="LEVEL", help="lowest level of the app's log"
    )
    output("--enable-json-output", action="store_true", help="write the log as JSON lines")
    output("--json-output-file", type=Path, metavar="FILE", help="write them to this file, too")
    return parser
