"""Runs queue functions for the messages of their queues.

Theory of operation. One loop per function fetches up to a batch of messages, which other readers
then do not see for LEASE_S, and starts a task for each. While that runs, the message's lease is
renewed. After a success the message is deleted. After a failure it is given back, or, if it was
fetched ``max_dequeue_count`` times, put into the queue NAME-poison. The loop fetches again as soon
as at most ``new_batch_threshold`` of its tasks run; it sleeps longer and longer over an empty
queue, until it finds a message or this host sends one.

A host that dies leaves its messages to their leases: each is seen again within LEASE_S, and its
function runs once more. What must never happen: a message that is deleted before its function has
ended; one that is fetched and forgotten.

Source: queue listener of the WebJobs SDK.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from durable_app.errors import ConfigError
from durable_app.host.console.console import Level
from durable_app.host.triggers.calling import Journal, TriggerCall, cancel, run_once
from durable_app.host.triggers.queue_output import send_text
from durable_app.host.triggers.queue_text import Encoding, decode
from durable_app.host.triggers.values import QUEUE_TRIGGER, check_annotation, queue_value

if TYPE_CHECKING:
    from durable_app.host.triggers.storage import Account, StorageAccounts

#: A fetched message is not seen by others for so long. Azure's host takes ten minutes; a local one
#: is stopped and killed all day long, and its messages should come back soon.
LEASE_S: Final = 60
_RENEW_S: Final = LEASE_S / 3
_SHORTEST_SLEEP_S: Final = 0.1
_LOOK_AGAIN_S: Final = 5.0
_CATEGORY: Final = "Host.Triggers.Queue"

_log = logging.getLogger(__name__)


class QueueOptions(NamedTuple):
    """``extensions.queues`` of host.json.

    Attributes:
        max_polling_s: longest sleep over an empty queue.
        visibility_timeout_s: how long a message of a failed call stays away.
        batch_size: 1 to 32.
        max_dequeue_count: calls of the function for one message, 1 or more.
        new_batch_threshold: fetch again when at most so many messages are at work.
    """

    max_polling_s: float = 60.0
    visibility_timeout_s: int = 0
    batch_size: int = 16
    max_dequeue_count: int = 5
    new_batch_threshold: int = 8
    encoding: Encoding = "base64"


class QueueFunction(NamedTuple):
    """One queue function; ``queue`` is the name of its queue, in lower case."""

    call: TriggerCall
    queue: str
    connection: str | None

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.call.facts.name


def queue_function(call: TriggerCall) -> QueueFunction:
    """Read the trigger's binding.

    Raises:
        ConfigError: it names no queue.
        DefinitionError: its parameter is annotated with something else than a QueueMessage.
    """
    facts = call.facts
    check_annotation(facts)
    binding = next(found for found in facts.bindings if found["type"] == QUEUE_TRIGGER)
    # Storage knows lower case only; the host writes it small, too.
    queue = str(binding.get("queueName", "")).strip().lower()
    if not queue:
        raise ConfigError(f"Function '{facts.name}' names no queue: give queue_name a value.")
    return QueueFunction(call, queue, binding.get("connection") or None)


class QueueTriggers:
    """All queue functions of an app.

    Args:
        accounts: shared with the outputs, so that a message that this host sends is fetched at
            once.
    """

    def __init__(
        self,
        functions: Sequence[QueueFunction],
        accounts: StorageAccounts,
        options: QueueOptions,
        journal: Journal,
    ) -> None:
        self._listeners = [_Listener(each, accounts, options, journal) for each in functions]
        self._accounts = accounts
        self._tasks: list[asyncio.Task[None]] = []
        self._unlisten = _nothing

    async def start(self) -> None:
        """Begin to look for the storage accounts; returns at once.

        A function whose account does not answer is reported, and begins as soon as it does.
        """
        self._unlisten()
        self._unlisten = self._accounts.listen(self._wake)
        self._tasks = [
            asyncio.create_task(listener.listen_loop(), name=f"queue {listener.function.name}")
            for listener in self._listeners
        ]

    async def stop(self, grace_s: float) -> None:
        """Fetch nothing any more; calls that run get ``grace_s``, then they are cancelled.

        The message of a call that is cancelled comes back when its lease ends. Idempotent.
        """
        self._unlisten()
        self._unlisten = _nothing
        for listener in self._listeners:
            listener.retire()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_s)
            await cancel(late)
        self._tasks = []

    def _wake(self, queue: str) -> None:
        for listener in self._listeners:
            if listener.function.queue == queue:
                listener.wake()


def _nothing() -> None:
    return


class _Listener:
    """The messages of one function."""

    def __init__(
        self,
        function: QueueFunction,
        accounts: StorageAccounts,
        options: QueueOptions,
        journal: Journal,
    ) -> None:
        self.function = function
        self._accounts = accounts
        self._options = options
        self._journal = journal
        self._awake = asyncio.Event()
        self._retired = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._is_reachable = True

    def wake(self) -> None:
        """There is something to do."""
        self._awake.set()

    def retire(self) -> None:
        """Fetch no more."""
        self._retired.set()
        self._awake.set()

    async def listen_loop(self) -> None:
        """Find the account, serve its queue until retired, and wait for the calls that run."""
        try:
            account = self._accounts.account(self.function.connection)
            if await self._reached(account):
                service = self._accounts.service(account)
                await self._poll(service, service.get_queue_client(self.function.queue))
            if self._running:
                await asyncio.wait(self._running)
        except ConfigError as error:
            self._report(f"is not run locally: {error}")
        except Exception:  # noqa: BLE001  the top of a loop
            _log.exception("queue_trigger_stopped", extra={"function": self.function.name})
        finally:
            await cancel(self._running)

    async def _reached(self, account: Account) -> bool:
        """Wait until the account answers; False where that was in vain."""
        reported = False
        while not self._retired.is_set():
            if await self._accounts.answers(account):
                return True
            if not reported:
                reported = True
                self._report(
                    f"is not run locally: nothing answers at {self._accounts.address(account)}"
                    f" ('{account.setting}'). It begins as soon as something does; Azurite is"
                    " started with `npx azurite`."
                )
            await self._sleep(_LOOK_AGAIN_S)
        return False

    async def _poll(self, service: Any, queue: Any) -> None:
        idle_s = _SHORTEST_SLEEP_S
        while not self._retired.is_set():
            messages = await self._fetch(queue)
            for message in messages:
                task = asyncio.create_task(self._serve(service, queue, message))
                self._running.add(task)
                task.add_done_callback(self._served)
            if messages:
                idle_s = _SHORTEST_SLEEP_S
                await self._room()
            elif await self._sleep(idle_s):
                idle_s = _SHORTEST_SLEEP_S
            else:
                idle_s = min(idle_s * 2, max(self._options.max_polling_s, _SHORTEST_SLEEP_S))

    async def _room(self) -> None:
        """Wait until few enough calls run."""
        while len(self._running) > self._options.new_batch_threshold:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)

    async def _sleep(self, seconds: float) -> bool:
        """Whether it was woken before the time was over."""
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            return False
        self._awake.clear()
        return True

    async def _fetch(self, queue: Any) -> list[Any]:
        from azure.core.exceptions import AzureError, ResourceNotFoundError  # noqa: PLC0415  extra

        size = self._options.batch_size
        try:
            pages = queue.receive_messages(
                messages_per_page=size, max_messages=size, visibility_timeout=LEASE_S
            )
            # One page is one request; the iterator over all of them goes on until it is empty.
            async for page in pages.by_page():
                found = [message async for message in page]
                self._is_reachable = True
                return found
        except ResourceNotFoundError:
            pass  # a queue that nobody has made yet is empty
        except AzureError as error:
            if self._is_reachable:
                self._report(f"cannot read its queue and tries again: {_first_line(error)}")
            self._is_reachable = False
        return []

    async def _serve(self, service: Any, queue: Any, message: Any) -> None:
        """Run the function for one message, and do with the message what then is due."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415  an extra

        renewing = asyncio.create_task(self._renew_loop(queue, message))
        try:
            succeeded, is_hopeless = await self._run(message)
            await cancel([renewing])
            if succeeded:
                await queue.delete_message(message)
            elif is_hopeless or message.dequeue_count >= self._options.max_dequeue_count:
                await self._poison(service, queue, message)
            else:
                await queue.update_message(
                    message.id,
                    message.pop_receipt,
                    visibility_timeout=self._options.visibility_timeout_s,
                )
                self.wake()
        except AzureError as error:
            # It comes back when its lease ends.
            self._report(f"could not finish message {message.id}: {_first_line(error)}")
        finally:
            await cancel([renewing])

    async def _run(self, message: Any) -> tuple[bool, bool]:
        """Whether the function succeeded, and whether it never will."""
        if message.dequeue_count > self._options.max_dequeue_count:
            return False, True
        try:
            body = decode(message.content, self._options.encoding)
        except ValueError as error:
            self._report(
                f"does not get message {message.id}: {error}. Send it in Base64, or set"
                ' "messageEncoding": "none" below extensions.queues in host.json.'
            )
            return False, True
        details = (
            f"MessageId: {message.id}, DequeueCount: {message.dequeue_count},"
            f" InsertedOn: {_stamp(message.inserted_on)}"
        )
        value = queue_value(body, _metadata(message))
        return await run_once(self.function.call, value, self._journal, details=details), False

    async def _poison(self, service: Any, queue: Any, message: Any) -> None:
        name = f"{self.function.queue}-poison"
        # Before the message is deleted: twice in the end is better than nowhere.
        await send_text(service.get_queue_client(name), message.content)
        await queue.delete_message(message)
        self._accounts.tell(name)
        self._journal.log(
            Level.WARNING,
            _CATEGORY,
            "Message has reached MaxDequeueCount of %d. Moving message to queue '%s'.",
            self._options.max_dequeue_count,
            name,
        )

    async def _renew_loop(self, queue: Any, message: Any) -> None:
        from azure.core.exceptions import AzureError  # noqa: PLC0415  an extra

        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                renewed = await queue.update_message(
                    message.id, message.pop_receipt, visibility_timeout=LEASE_S
                )
                message.pop_receipt = renewed.pop_receipt
            except AzureError:
                # The next one may succeed; if none does, another call gets the message.
                _log.debug("queue_lease_not_renewed", extra={"function": self.function.name})

    def _report(self, text: str) -> None:
        self._journal.log(Level.WARNING, _CATEGORY, "Function '%s' %s", self.function.name, text)


def _metadata(message: Any) -> dict[str, object]:
    return {
        "Id": message.id,
        "DequeueCount": message.dequeue_count,
        "ExpirationTime": _stamp(message.expires_on),
        "InsertionTime": _stamp(message.inserted_on),
        "NextVisibleTime": _stamp(message.next_visible_on),
        "PopReceipt": message.pop_receipt,
    }


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
