"""A logger that is silent in replays."""

from __future__ import annotations

import logging

import pytest

from tests.unit.replay.world import World, done

log = logging.getLogger("tests.orders")


def chatty(context):
    safe = context.create_replay_safe_logger(log)
    safe.info("first %s", 1)
    yield context.call_activity("a")
    safe.log(logging.INFO, "second")


@pytest.mark.parametrize("warm", [True, False])
def test_what_was_logged_is_not_logged_again(warm, caplog) -> None:
    caplog.set_level(logging.INFO, log.name)
    world = World(chatty, warm=warm)
    world.turn(done(1))
    assert [record.getMessage() for record in caplog.records] == ["first 1", "second"]
    assert {record.filename for record in caplog.records} == {"test_logger.py"}
    assert caplog.records[0].funcName == "chatty"


@pytest.mark.parametrize(
    ("method", "level"),
    [("debug", 10), ("info", 20), ("warning", 30), ("error", 40), ("critical", 50)],
)
def test_all_levels(method, level, caplog) -> None:
    caplog.set_level(logging.DEBUG, log.name)

    def orchestrator(context):
        getattr(context.create_replay_safe_logger(log), method)("text", extra={"order": 7})

    World(orchestrator)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage(), vars(record)["order"]) == (level, "text", 7)


def test_an_exception_comes_with_its_traceback(caplog) -> None:
    def orchestrator(context):
        try:
            int("x")
        except ValueError:
            context.create_replay_safe_logger(log).exception("lost")

    World(orchestrator)
    assert "ValueError: invalid literal" in caplog.text


def test_it_is_the_logger_in_all_else() -> None:
    seen = []

    def orchestrator(context):
        safe = context.create_replay_safe_logger(log)
        seen.append((context.is_replaying, safe.isEnabledFor(logging.CRITICAL), safe.name))
        yield context.call_activity("a")

    world = World(orchestrator, warm=False)
    world.turn(done(1))
    assert seen == [(False, True, "tests.orders"), (True, False, "tests.orders")]
