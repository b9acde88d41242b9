"""What watches over a process asks here: is it well (``/healthz``), and how busy (``/metrics``)?"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web

from durable_app.errors import ConfigError
from durable_app.host.web.protocol_log import PROTOCOL_LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SHUTDOWN_S: Final = 1.0


class Sample(NamedTuple):
    """One number of a metric."""

    value: float
    labels: Mapping[str, str] = {}


class Metric(NamedTuple):
    """A metric in the sense of Prometheus.

    Attributes:
        kind: ``counter`` or ``gauge``.
    """

    name: str
    kind: str
    help: str
    samples: Iterable[Sample]


class HealthServer:
    """Answers on a port of its own.

    Args:
        problem: why the process is not well; None while it is.
        metrics: read with each request.
    """

    def __init__(
        self, problem: Callable[[], str | None], metrics: Callable[[], Iterable[Metric]]
    ) -> None:
        """Nothing is opened yet."""
        self._problem = problem
        self._metrics = metrics
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._show_metrics)
        self._runner = web.AppRunner(
            app, access_log=None, logger=PROTOCOL_LOG, shutdown_timeout=_SHUTDOWN_S
        )

    async def start(self, address: str, port: int) -> int:
        """Listen; return the port.

        Raises:
            ConfigError: somebody else listens there, or this machine has no such address.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            # asyncio puts the address into its text once more.
            is_plain = error.errno == errno.EADDRINUSE
            reason = os.strerror(errno.EADDRINUSE) if is_plain else error.strerror
            raise ConfigError(
                f"/healthz and /metrics cannot listen on {address}:{port}: {reason}."
                " Choose another port with --health-port."
            ) from error
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Close the port. Idempotent."""
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        problem = self._problem()
        return (
            web.Response(status=204) if problem is None else web.Response(status=503, text=problem)
        )

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        body = as_text(self._metrics()).encode()
        return web.Response(body=body, headers={"Content-Type": _METRICS_TYPE})


def as_text(metrics: Iterable[Metric]) -> str:
    """Metrics in Prometheus' text format."""
    lines = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        for sample in metric.samples:
            labels = ",".join(f'{key}="{_escaped(text)}"' for key, text in sample.labels.items())
            lines.append(f"{metric.name}{{{labels}}} {sample.value:.10g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
