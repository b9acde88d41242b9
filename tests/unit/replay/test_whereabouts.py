from __future__ import annotations

import functools

from durable_app.replay.whereabouts import line_of, start_of


def counting():
    yield 1
    yield 2


def test_the_line_follows_the_generator() -> None:
    generator = counting()
    first = counting.__code__.co_firstlineno
    next(generator)
    assert line_of(generator) == f"{__file__}:{first + 1}"
    next(generator)
    assert line_of(generator) == f"{__file__}:{first + 2}"
    generator.close()
    assert line_of(generator) is None


def test_a_generator_over_a_plain_iterator() -> None:
    def delegating():
        yield from [1]

    generator = delegating()
    next(generator)
    assert line_of(generator) == f"{__file__}:{delegating.__code__.co_firstlineno + 1}"


def test_where_a_function_begins() -> None:
    line = counting.__code__.co_firstlineno
    assert start_of(counting) == f"{__file__}:{line} (the end of counting)"
    assert start_of(functools.partial(counting)) == "partial"
