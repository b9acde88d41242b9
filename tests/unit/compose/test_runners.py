"""Who runs an app: this process, or several; and what that needs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from durable_app.compose.runners import runner_maker
from durable_app.errors import ConfigError


def test_several_processes_need_a_hub_in_this_host():
    plan: Any = SimpleNamespace(workers=2)
    elsewhere: Any = object()
    bench: Any = object()
    with pytest.raises(ConfigError, match="2 worker processes need a task hub in this host"):
        runner_maker(plan, elsewhere, bench, {}, "http://localhost:7071", None)
