"""What the lists of pitfalls start from: an app with two activities, and a way to run it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import durable_app as df
from durable_app.testing import AppRunner

Story = Callable[[AppRunner], Awaitable[Any]]


@pytest.fixture
def app() -> df.DFApp:
    """An app with an activity that gives back what it gets, and one that fails."""
    made = df.DFApp()

    @made.activity_trigger(input_name="value")
    def echo(value: Any) -> Any:
        return value

    @made.activity_trigger(input_name="value")
    def fail(value: Any) -> Any:
        raise ValueError("sold out")

    return made


@pytest.fixture
def play(app: df.DFApp) -> Callable[..., Any]:
    """Run ``await story(run)`` while the app runs; further arguments are those of AppRunner."""

    def playing(story: Story, **options: Any) -> Any:
        async def main() -> Any:
            async with AppRunner(app, **options) as run:
                return await story(run)

        return asyncio.run(main())

    return playing
