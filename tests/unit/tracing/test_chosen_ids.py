"""Ids that were chosen, and those of the tracer's own generator."""

from __future__ import annotations

import threading

from durable_app.tracing.chosen_ids import ChosenIds


class Counting:
    def __init__(self) -> None:
        self.given = 0

    def generate_span_id(self) -> int:
        self.given += 1
        return self.given

    generate_trace_id = generate_span_id


class Random(Counting):
    def is_trace_id_random(self) -> bool:
        return True


def test_chosen_ids_are_given_within_the_block_alone() -> None:
    ids = ChosenIds(Counting())
    with ids.choose(100, 200):
        assert (ids.generate_trace_id(), ids.generate_span_id()) == (100, 200)
    assert (ids.generate_trace_id(), ids.generate_span_id()) == (1, 2)


def test_other_threads_get_others() -> None:
    ids = ChosenIds(Counting())
    seen: list[int] = []
    with ids.choose(100, 200):
        thread = threading.Thread(target=lambda: seen.append(ids.generate_span_id()))
        thread.start()
        thread.join()
    assert seen == [1]


def test_trace_ids_are_random_if_nobody_has_chosen() -> None:
    ids = ChosenIds(Random())
    assert ids.is_trace_id_random()
    with ids.choose(100, 200):
        assert not ids.is_trace_id_random()
    assert not ChosenIds(Counting()).is_trace_id_random()
