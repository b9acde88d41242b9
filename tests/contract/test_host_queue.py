"""Queue functions over a real socket: against a stand-in, and Azurite where it is installed."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from durable_app.errors import ConfigError
from durable_app.host.calls.invoke import FunctionFailedError
from durable_app.host.triggers import queue as queue_module
from durable_app.host.triggers.queue import queue_function
from tests.contract.queue_desk import QUICK, SERVICES, Desk, Worker, eventually, free_port, play
from tests.contract.queue_service import QueueService


@pytest.fixture(params=SERVICES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_message_reaches_the_function_and_is_deleted(kind: str, tmp_path: Path) -> None:
    async def scene(port: int) -> None:
        worker = Worker()
        async with Desk(port, worker) as desk:
            await desk.send("Grüße <&>")
            await eventually(lambda: worker.messages, "a message")
            await desk.triggers.stop(5)
            message = worker.messages[0]
            assert issubclass(type(message), func.QueueMessage)
            assert message.get_body() == "Grüße <&>".encode()
            assert (message.dequeue_count, len(message.id), bool(message.pop_receipt)) == (
                1,
                36,
                True,
            )
            assert message.expiration_time > message.insertion_time
            assert message.time_next_visible > message.insertion_time
            category = "Function.work"
            details = next(line for line in desk.journal.lines if line[1] == category)[2]
            assert details.startswith(f"Trigger Details: MessageId: {message.id}, DequeueCount: 1,")
            assert await desk.texts() == []

    play(kind, tmp_path, scene)


def test_outputs_of_every_shape_are_sent(kind: str, tmp_path: Path) -> None:
    async def scene(port: int) -> None:
        worker = Worker()
        async with Desk(port, worker) as desk:
            await desk.send("text", b"\xff\x00", func.QueueMessage(body="object"), None, [])
            await desk.send(["a", func.QueueMessage(body=b"b")])
            await eventually(lambda: len(worker.messages) == 5, "five messages")
            assert sorted(worker.bodies) == [b"a", b"b", b"object", b"text", b"\xff\x00"]

    play(kind, tmp_path, scene)


def test_a_failing_message_ends_among_the_poison(kind: str, tmp_path: Path) -> None:
    async def fail(message: Any) -> None:
        raise FunctionFailedError

    async def scene(port: int) -> None:
        worker = Worker(fail)
        async with Desk(port, worker, QUICK._replace(max_dequeue_count=3)) as desk:
            await desk.send("bad")
            await eventually(lambda: desk.journal.warnings, "the move")
            assert [message.dequeue_count for message in worker.messages] == [1, 2, 3]
            assert await desk.texts("orders-poison") == [base64.b64encode(b"bad").decode()]
            assert await desk.texts() == []
            assert desk.journal.warnings == [
                "Message has reached MaxDequeueCount of 3. Moving message to queue 'orders-poison'."
            ]

    play(kind, tmp_path, scene)


def test_a_message_that_is_not_in_base64_is_poison_at_once(kind: str, tmp_path: Path) -> None:
    async def scene(port: int) -> None:
        worker = Worker()
        async with Desk(port, worker) as desk:
            queue = desk.service.get_queue_client("orders")
            await queue.create_queue()
            await queue.send_message("plain text!")
            await eventually(lambda: len(desk.journal.warnings) == 2, "the move")
            assert worker.messages == []
            assert "it is not in Base64" in desk.journal.warnings[0]
            assert await desk.texts("orders-poison") == ["plain text!"]

    play(kind, tmp_path, scene)


def test_plain_text_passes_where_the_encoding_is_none(kind: str, tmp_path: Path) -> None:
    async def scene(port: int) -> None:
        worker = Worker()
        async with Desk(port, worker, QUICK._replace(encoding="none")) as desk:
            await desk.send('{"n": 1}')
            await eventually(lambda: worker.messages, "a message")
            assert worker.messages[0].get_json() == {"n": 1}

    play(kind, tmp_path, scene)


def test_many_messages_run_at_a_time_but_not_more_than_allowed(kind: str, tmp_path: Path) -> None:
    running, most = 0, 0

    async def work(message: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    async def scene(port: int) -> None:
        worker = Worker(work)
        async with Desk(port, worker, QUICK._replace(batch_size=4, new_batch_threshold=2)) as desk:
            await desk.send([str(number) for number in range(20)])
            await eventually(lambda: len(worker.messages) == 20, "all")
        assert 2 < most <= 6
        assert len(set(worker.bodies)) == 20

    play(kind, tmp_path, scene)


def test_the_end_waits_for_what_runs(kind: str, tmp_path: Path) -> None:
    done: list[bool] = []

    async def work(message: Any) -> None:
        await asyncio.sleep(0.1)
        done.append(True)

    async def scene(port: int) -> None:
        worker = Worker(work)
        async with Desk(port, worker) as desk:
            await desk.send("late")
            await eventually(lambda: worker.messages, "a message")
            await desk.triggers.stop(5)
            assert done == [True]
            assert await desk.texts() == []

    play(kind, tmp_path, scene)


def test_what_does_not_end_in_time_stays_in_the_queue(kind: str, tmp_path: Path) -> None:
    async def hang(message: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async def scene(port: int) -> None:
        worker = Worker(hang)
        async with Desk(port, worker) as desk:
            await desk.send("stuck")
            await eventually(lambda: worker.messages, "a message")
            await desk.triggers.stop(0.01)
            properties = await desk.service.get_queue_client("orders").get_queue_properties()
            assert properties.approximate_message_count == 1

    play(kind, tmp_path, scene)


def test_the_lease_of_a_long_call_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # given a lease of a second and a call that lasts for two
    monkeypatch.setattr(queue_module, "LEASE_S", 1)
    monkeypatch.setattr(queue_module, "_RENEW_S", 0.3)

    async def work(message: Any) -> None:
        await asyncio.sleep(2)

    async def scene(port: int) -> None:
        worker = Worker(work)
        async with Desk(port, worker) as desk:
            await desk.send("long")
            await eventually(lambda: worker.messages, "a message")
            await asyncio.sleep(1.5)
            await desk.triggers.stop(5)

            # then nobody else got the message, and it is gone in the end
            assert len(worker.messages) == 1
            await asyncio.sleep(1.1)
            assert await desk.texts() == []

    play(kind, tmp_path, scene)


def test_a_refusal_is_reported_once_and_tried_again(tmp_path: Path) -> None:
    async def run() -> None:
        service = QueueService()
        port = await service.start()
        worker = Worker()
        async with Desk(port, worker) as desk:
            await desk.send("kept")
            await eventually(
                lambda: worker.messages and not service.queues["orders"], "the end of the first"
            )
            service.broken = True
            await eventually(lambda: desk.journal.warnings, "the refusal")
            await asyncio.sleep(0.5)
            service.broken = False
            await desk.send("later")
            await eventually(lambda: len(worker.messages) == 2, "the second")
            assert len(desk.journal.warnings) == 1
            assert "cannot read its queue and tries again" in desk.journal.warnings[0]
        await service.stop()

    asyncio.run(run())


def test_a_message_that_somebody_else_took_is_left_to_them(tmp_path: Path) -> None:
    async def run() -> None:
        service = QueueService()
        port = await service.start()

        async def take_away(message: Any) -> None:
            service.queues["orders"].clear()

        worker = Worker(take_away)
        async with Desk(port, worker) as desk:
            await desk.send("taken")
            await eventually(lambda: desk.journal.warnings, "the loss")
            assert "could not finish message" in desk.journal.warnings[0]
        await service.stop()

    asyncio.run(run())


def test_a_message_that_was_fetched_too_often_never_reaches_the_function() -> None:
    async def run() -> None:
        service = QueueService()
        port = await service.start()
        worker = Worker()
        desk = Desk(port, worker)
        await desk.send("crashed five times")
        service.queues["orders"][0].dequeued = 5
        async with desk:
            await eventually(lambda: desk.journal.warnings, "the move")
        assert worker.messages == []
        assert len(service.queues["orders-poison"]) == 1
        await service.stop()

    asyncio.run(run())


def test_an_account_that_does_not_answer_is_reported_and_used_once_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_module, "_LOOK_AGAIN_S", 0.05)
    answers = [False, False, True]

    async def run() -> None:
        service = QueueService()
        port = await service.start()
        worker = Worker()
        desk = Desk(port, worker)

        async def answer(account: Any) -> bool:
            return answers.pop(0)

        await desk.send("waiting")
        monkeypatch.setattr(desk.accounts, "answers", answer)
        async with desk:
            await eventually(lambda: worker.messages, "a message")
        assert desk.journal.warnings == [
            f"Function 'work' is not run locally: nothing answers at 127.0.0.1:{port}"
            " ('AzureWebJobsStorage'). It begins as soon as something does; Azurite is started"
            " with `npx azurite`."
        ]
        await service.stop()

    asyncio.run(run())


def test_nobody_listens() -> None:
    async def run() -> None:
        port = free_port()
        async with Desk(port, Worker()) as desk:
            account = desk.accounts.account(None)
            assert not await desk.accounts.answers(account)
            assert desk.accounts.address(account) == f"127.0.0.1:{port}"
            await eventually(lambda: desk.journal.warnings, "the line")

    asyncio.run(run())


def test_a_setting_that_is_absent_is_reported() -> None:
    async def run() -> None:
        async with Desk(free_port(), Worker(connection="Shop")) as desk:
            await eventually(lambda: desk.journal.warnings, "the line")
            assert desk.journal.warnings[0].startswith(
                "Function 'work' is not run locally: No setting 'Shop' has a connection string"
            )
            with pytest.raises(ConfigError, match="No setting 'Till'"):
                await desk.sink({"queueName": "q", "connection": "Till"}, "x")

    asyncio.run(run())


def test_an_output_of_another_type_is_refused() -> None:
    async def run() -> None:
        async with Desk(free_port(), Worker()) as desk:
            for value in ({"a": 1}, 5, ["text", 5]):
                with pytest.raises(TypeError, match="cannot send a value of type"):
                    await desk.send(value)

    asyncio.run(run())


def test_several_makers_of_one_queue_do_not_disturb_each_other(kind: str, tmp_path: Path) -> None:
    async def scene(port: int) -> None:
        desk = Desk(port, Worker())
        await asyncio.gather(*(desk.send(json.dumps(n), queue="shared") for n in range(8)))
        assert len(await desk.texts("shared")) == 8
        await desk.accounts.close()

    play(kind, tmp_path, scene)


def test_a_host_that_never_found_its_account_ends_at_once() -> None:
    async def run() -> None:
        desk = Desk(free_port(), Worker())
        async with desk:
            await eventually(lambda: desk.journal.warnings, "the line")
            await desk.triggers.stop(5)
            assert desk.triggers._tasks == []

    asyncio.run(run())


def test_a_message_that_is_sent_wakes_an_idle_function_at_once() -> None:
    async def run() -> None:
        service = QueueService()
        port = await service.start()
        worker = Worker()
        async with Desk(port, worker, QUICK._replace(max_polling_s=3600)) as desk:
            await asyncio.sleep(0.8)  # by now it sleeps for longer than the test waits
            await desk.send("elsewhere", queue="other")
            await desk.send("here")
            await eventually(lambda: worker.messages, "a message", 1)
        await service.stop()

    asyncio.run(run())


def test_a_lease_that_cannot_be_renewed_leaves_the_call_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_module, "_RENEW_S", 0.05)

    async def run() -> None:
        service = QueueService()
        port = await service.start()

        async def work(message: Any) -> None:
            service.broken = True
            await asyncio.sleep(0.3)
            service.broken = False

        worker = Worker(work)
        async with Desk(port, worker) as desk:
            await desk.send("long")
            await eventually(lambda: worker.messages, "a message")
            await desk.triggers.stop(5)
            assert service.queues["orders"] == []
        await service.stop()

    asyncio.run(run())


def test_a_mistake_of_the_host_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        desk = Desk(free_port(), Worker())

        async def fail(account: Any) -> bool:
            raise RuntimeError("a mistake")

        monkeypatch.setattr(desk.accounts, "answers", fail)
        async with desk:
            await eventually(lambda: "queue_trigger_stopped" in caplog.text, "the log")

    asyncio.run(run())


def test_a_function_without_a_queue_is_refused() -> None:
    with pytest.raises(ConfigError, match="Function 'work' names no queue"):
        queue_function(Worker(queueName=" "))
