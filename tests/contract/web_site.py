"""A web site that answers what it is told to, and remembers what it was asked."""

from __future__ import annotations

import contextlib

from aiohttp import web


class Site:
    """A server; ``seen`` has the requests that came."""

    def __init__(self) -> None:
        self.origin = ""
        self.seen: list[tuple[str, str, dict[str, str], str]] = []
        self.answers: list[web.Response] = []

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.path_qs, headers, await request.text()))
        return self.answers.pop(0)

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _, _ in self.seen]

    @contextlib.asynccontextmanager
    async def open(self):
        server = web.Application()
        server.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


def accepted(location: str, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=202, headers={"Location": location, **named})


def moved(status: int, location: str) -> web.Response:
    return web.Response(status=status, headers={"Location": location})
