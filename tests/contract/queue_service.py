"""As much of Azure's queue service as azure-storage-queue needs, for machines without Azurite."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from aiohttp import web

# The account and the key that every emulator of storage has; both are public.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
INSERTED = datetime(2026, 5, 4, 12, tzinfo=UTC)


def connection_string(port: int) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"QueueEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    )


@dataclasses.dataclass
class Message:
    text: str
    visible_at: float
    message_id: str
    receipt: str = ""
    dequeued: int = 0


class QueueService:
    """Keeps queues in memory; ``broken`` makes every request fail."""

    def __init__(self) -> None:
        self.queues: dict[str, list[Message]] = {}
        self.broken = False
        self.updates = 0
        self._ids = 0

    async def start(self) -> int:
        """Serve on a free port; which one."""
        app = web.Application()
        app.router.add_route("PUT", "/{account}/{queue}", self._create)
        app.router.add_route("GET", "/{account}/{queue}", self._describe)
        app.router.add_route("POST", "/{account}/{queue}/messages", self._send)
        app.router.add_route("GET", "/{account}/{queue}/messages", self._receive)
        app.router.add_route("DELETE", "/{account}/{queue}/messages/{id}", self._delete)
        app.router.add_route("PUT", "/{account}/{queue}/messages/{id}", self._update)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        known = request.match_info["queue"] in self.queues
        self.queues.setdefault(request.match_info["queue"], [])
        return web.Response(status=204 if known else 201)

    async def _describe(self, request: web.Request) -> web.Response:
        count = len(self._queue(request))
        return web.Response(headers={"x-ms-approximate-messages-count": str(count)})

    async def _send(self, request: web.Request) -> web.Response:
        queue = self._queue(request)
        text = ElementTree.fromstring(await request.read()).findtext("MessageText") or ""
        message = Message(text, _now(), str(uuid.UUID(int=len(queue) + self._next())))
        queue.append(message)
        return self._listing([message], status=201)

    async def _receive(self, request: web.Request) -> web.Response:
        most = int(request.query.get("numofmessages", 1))
        found = [each for each in self._queue(request) if each.visible_at <= _now()][:most]
        for message in found:
            message.dequeued += 1
            message.receipt = f"receipt-{self._next()}"
            message.visible_at = _now() + int(request.query["visibilitytimeout"])
        return self._listing(found, with_text=True)

    async def _delete(self, request: web.Request) -> web.Response:
        self._queue(request).remove(self._message(request))
        return web.Response(status=204)

    async def _update(self, request: web.Request) -> web.Response:
        message = self._message(request)
        self.updates += 1
        message.receipt = f"receipt-{self._next()}"
        message.visible_at = _now() + int(request.query["visibilitytimeout"])
        headers = {
            "x-ms-popreceipt": message.receipt,
            "x-ms-time-next-visible": _stamp(INSERTED),
        }
        return web.Response(status=204, headers=headers)

    def _next(self) -> int:
        self._ids += 1
        return self._ids

    def _queue(self, request: web.Request) -> list[Message]:
        if self.broken:
            raise _error(web.HTTPForbidden, "AuthorizationFailure")
        if request.match_info["queue"] not in self.queues:
            raise _error(web.HTTPNotFound, "QueueNotFound")
        return self.queues[request.match_info["queue"]]

    def _message(self, request: web.Request) -> Message:
        for message in self._queue(request):
            receipt = request.query["popreceipt"]
            if (message.message_id, message.receipt) == (request.match_info["id"], receipt):
                return message
        raise _error(web.HTTPNotFound, "MessageNotFound")

    def _listing(
        self, messages: list[Message], *, with_text: bool = False, status: int = 200
    ) -> web.Response:
        root = ElementTree.Element("QueueMessagesList")
        for message in messages:
            fields = {
                "MessageId": message.message_id,
                "InsertionTime": _stamp(INSERTED),
                "ExpirationTime": _stamp(INSERTED + timedelta(days=7)),
                "PopReceipt": message.receipt,
                "TimeNextVisible": _stamp(INSERTED + timedelta(minutes=1)),
            }
            if with_text:
                fields |= {"DequeueCount": str(message.dequeued), "MessageText": message.text}
            item = ElementTree.SubElement(root, "QueueMessage")
            for name, value in fields.items():
                ElementTree.SubElement(item, name).text = value
        return web.Response(
            status=status, body=ElementTree.tostring(root), content_type="application/xml"
        )


def _error(kind: type[web.HTTPException], code: str) -> web.HTTPException:
    made: Any = kind
    error: web.HTTPException = made(
        headers={"x-ms-error-code": code},
        text=f"<Error><Code>{code}</Code><Message>{code}.</Message></Error>",
        content_type="application/xml",
    )
    return error


def _now() -> float:
    return asyncio.get_running_loop().time()


def _stamp(moment: datetime) -> str:
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
