"""Sends what functions give to their queue outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from durable_app.errors import ConfigError
from durable_app.host.triggers.queue_text import Encoding, bodies, encode

if TYPE_CHECKING:
    from durable_app.host.triggers.storage import Account, StorageAccounts

#: Type of the binding.
QUEUE_OUTPUT: Final = "queue"


class QueueSink:
    """Writes to queues; one serves all functions. Can be called like :meth:`send`."""

    def __init__(self, accounts: StorageAccounts, encoding: Encoding = "base64") -> None:
        self._accounts = accounts
        self._reached: set[Account] = set()
        self._encoding = encoding

    async def __call__(self, binding: Mapping[str, Any], value: Any) -> None:
        """See :meth:`send`."""
        await self.send(binding, value)

    async def send(self, binding: Mapping[str, Any], value: Any) -> None:
        """Send the value of an output; the queue is made where it is absent.

        Args:
            value: text, bytes, a QueueMessage, or an iterable of these; None sends nothing.

        Raises:
            TypeError: the value can be no message; nothing was sent.
            ConfigError: no setting names the storage account, nothing answers there, or the
                package is missing.
            azure.core.exceptions.AzureError: the account refuses.
        """
        if value is None:
            return
        messages = [encode(body, self._encoding) for body in bodies(value)]
        name = str(binding.get("queueName", "")).lower()
        account = self._accounts.account(binding.get("connection"))
        queue = self._accounts.service(account).get_queue_client(name)
        if account not in self._reached:
            # Asked once: the package itself tries for seconds, and says why on a hundred lines.
            await self._require(account)
        for message in messages:
            await send_text(queue, message)
        self._accounts.tell(name)

    async def _require(self, account: Account) -> None:
        if not await self._accounts.answers(account):
            raise ConfigError(
                f"The message was not sent: nothing answers at {self._accounts.address(account)},"
                f" where the setting '{account.setting}' has its queues. Start Azurite there, or"
                " name another account."
            )
        self._reached.add(account)


async def send_text(queue: Any, text: str) -> None:
    """Send one message; make the queue if it is not there."""
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  an extra

    try:
        await queue.send_message(text)
    except ResourceNotFoundError:
        await make_queue(queue)
        await queue.send_message(text)


async def make_queue(queue: Any) -> None:
    """Make a queue unless somebody else just did."""
    from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415  an extra

    try:
        await queue.create_queue()
    except ResourceExistsError:
        return
