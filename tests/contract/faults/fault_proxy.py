"""A TCP proxy on this machine that does to connections what networks do.

It runs on an event loop in a thread of its own, so that clients of every kind can be put behind it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_CHUNK = 16_384
_LINGER_ZERO = struct.pack("ii", 1, 0)

T = TypeVar("T")


@dataclass
class Weather:
    """What happens to bytes on their way.

    Attributes:
        loses_up, loses_down: what clients send, or what they shall get, is swallowed.
        delay_s: each chunk is late by so much.
        bytes_per_s: no more than that in each direction of a connection; None for no limit.
        refuses: new connections are reset at once.
    """

    loses_up: bool = False
    loses_down: bool = False
    delay_s: float = 0.0
    bytes_per_s: float | None = None
    refuses: bool = False


class FaultProxy:
    """Passes connections on to a port of this machine.

    Attributes:
        port: for clients.
        accepted: connections so far.
    """

    def __init__(self, target_port: int) -> None:
        self.accepted = 0
        self._target_port = target_port
        self._weather = Weather()
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._thread.start()
        self._server = self._call(self._listen())
        self.port = int(self._server.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections of clients that are open, swallowed ones too."""
        return self._do(lambda: len(self._connections))

    # -- faults ------------------------------------------------------------------------------

    def heal(self) -> None:
        """Pass everything on, at once, from now on; what was swallowed stays lost.

        A connection of which something was swallowed cannot be of use any more: it ends.
        """
        self._set(Weather())
        self._end(abruptly=True, all_of_them=False)

    def cut(self) -> None:
        """End all connections in an orderly way (FIN)."""
        self._end(abruptly=False)

    def reset(self) -> None:
        """End all connections abruptly (RST)."""
        self._end(abruptly=True)

    def black_hole(self) -> None:
        """Accept everything, and pass nothing on: neither bytes nor ends of connections."""
        self._set(Weather(loses_up=True, loses_down=True))

    def half_open(self, *, loses_up: bool) -> None:
        """Lose one direction only: what clients send, or what they shall get."""
        self._set(Weather(loses_up=loses_up, loses_down=not loses_up))

    def delay(self, seconds: float) -> None:
        """Deliver each chunk late."""
        self._set(Weather(delay_s=seconds))

    def throttle(self, bytes_per_s: float) -> None:
        """Deliver slowly."""
        self._set(Weather(bytes_per_s=bytes_per_s))

    def refuse(self) -> None:
        """Let nobody connect any more; those who are connected stay so."""
        self._set(Weather(refuses=True))

    # -- inside ------------------------------------------------------------------------------

    @property
    def weather(self) -> Weather:
        return self._weather

    @property
    def target_port(self) -> int:
        return self._target_port

    def close(self) -> None:
        """End everything. Idempotent it is not."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for c in self._connections for task in c.tasks]
        for connection in tuple(self._connections):
            connection.end(abruptly=True)
        if tasks:
            await asyncio.wait(tasks)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = _Connection(self, reader, writer)
        if self._weather.refuses:
            connection.end(abruptly=True)
            return
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def _end(self, *, abruptly: bool, all_of_them: bool = True) -> None:
        def end() -> None:
            for connection in tuple(self._connections):
                if all_of_them or connection.has_lost:
                    connection.end(abruptly=abruptly)

        self._do(end)

    def _set(self, weather: Weather) -> None:
        def change() -> None:
            self._weather = weather

        self._do(change)

    def _do(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return self._call(call())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class _Connection:
    """One client's connection, and the one to the target that belongs to it."""

    def __init__(
        self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.has_lost = False
        self.tasks: list[asyncio.Task[None]] = []
        self._proxy = proxy
        self._reader = reader
        self._writers = [writer]

    async def run(self) -> None:
        """Pass bytes on until one side ends, or a fault ends both."""
        try:
            target = await asyncio.open_connection("127.0.0.1", self._proxy.target_port)
        except OSError:
            self.end(abruptly=True)
            return
        self._writers.append(target[1])
        self.tasks = [
            asyncio.create_task(self._pump(self._reader, target[1], is_up=True)),
            asyncio.create_task(self._pump(target[0], self._writers[0], is_up=False)),
        ]
        await asyncio.wait(self.tasks)
        self.end(abruptly=False)

    def end(self, *, abruptly: bool) -> None:
        for task in self.tasks:
            task.cancel()
        for writer in self._writers:
            if abruptly:
                with suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO
                    )
                writer.transport.abort()
            else:
                writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        with suppress(OSError):
            while True:
                data = await reader.read(_CHUNK)
                weather = self._proxy.weather
                if weather.loses_up if is_up else weather.loses_down:
                    # The end of a connection is lost like everything else.
                    self.has_lost = True
                    if not data:
                        return
                    continue
                await self._dawdle(weather, len(data))
                if not data:
                    break
                writer.write(data)
                await writer.drain()
            # The other direction has nothing to say any more, either.
            self.end(abruptly=False)

    async def _dawdle(self, weather: Weather, size: int) -> None:
        wait_s = weather.delay_s
        if weather.bytes_per_s is not None:
            wait_s += size / weather.bytes_per_s
        if wait_s:
            await asyncio.sleep(wait_s)
