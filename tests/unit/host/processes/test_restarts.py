"""Pauses between the starts of a process that does not stay."""

from __future__ import annotations

from durable_app.host.processes.restarts import GOOD_S, Restarts


def test_pauses_grow_up_to_a_limit():
    restarts = Restarts()
    assert [restarts.wait_s(1.0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_process_that_worked_for_a_while_makes_up_for_what_was_before():
    restarts = Restarts()
    for _ in range(5):
        restarts.wait_s(0.0)
    assert restarts.wait_s(GOOD_S) == 0.5
    assert restarts.wait_s(GOOD_S - 1) == 1
