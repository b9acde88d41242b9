"""Which saved files matter, and that they are seen."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from pathlib import Path

import pytest

from durable_app.errors import ConfigError
from durable_app.host.app import watch
from durable_app.host.app.watch import Watched, require_watching, saved_files

TIMEOUT_S = 10


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("function_app.py", True),
        ("triggers/chaining.py", True),
        ("host.json", True),
        ("local.settings.json", True),
        ("triggers/host.json", False),
        ("README.md", False),
        (".venv/lib/python3.11/site-packages/x.py", False),
        ("env/lib/x.py", False),
        (".durable/default.db", False),
        ("__pycache__/function_app.cpython-311.pyc", False),
        (".#function_app.py", False),
    ],
)
def test_code_and_settings_matter(tmp_path, name, matters):
    assert Watched(tmp_path).holds(tmp_path / name) is matters


def test_a_file_elsewhere_does_not_matter(tmp_path):
    assert not Watched(tmp_path).holds(Path("/elsewhere/app.py"))


def test_host_json_may_add_folders_and_files(tmp_path):
    watched = Watched(tmp_path, ("prompts",), frozenset({"rules.toml"}))
    assert watched.holds(tmp_path / "prompts" / "planner.txt")
    assert watched.holds(tmp_path / "data" / "rules.toml")
    assert not watched.holds(tmp_path / "data" / "planner.txt")


def test_a_saved_file_is_seen_and_the_watch_ends_when_asked(tmp_path):
    async def scenario() -> list[list[Path]]:
        stop = asyncio.Event()
        seen: list[list[Path]] = []

        async def save() -> None:
            # The watch needs a moment to begin, and says nothing when it has: so save until seen.
            number = 0
            while not seen:
                number += 1
                (tmp_path / "notes.txt").write_text(str(number))
                (tmp_path / "function_app.py").write_text(f"x = {number}")
                await asyncio.sleep(0.1)

        saving = asyncio.create_task(save())
        async with asyncio.timeout(TIMEOUT_S):
            async for files in saved_files(Watched(tmp_path), stop):
                seen.append(files)
                stop.set()
            await saving
        return seen

    seen = asyncio.run(scenario())
    assert seen[0] == [tmp_path / "function_app.py"]


def test_without_the_package_the_error_names_the_extra(monkeypatch, tmp_path):
    require_watching(tmp_path)
    watch._awatch.cache_clear()
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigError, match=r"pip install 'durable-app\[local\]'"):
        require_watching(tmp_path)


@pytest.mark.parametrize("place", ["watchfiles.py", "watchfiles/__init__.py"])
def test_a_module_of_the_app_may_have_the_name_of_the_package(monkeypatch, tmp_path, place):
    module = tmp_path / place
    module.parent.mkdir(exist_ok=True)
    module.write_text("awatch = 'of the app'")
    watch._awatch.cache_clear()
    for name in [*sys.modules]:
        if name.partition(".")[0] == "watchfiles":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    paths = sys.path[:]

    require_watching(tmp_path)

    assert sys.path == paths
    assert inspect.isfunction(watch._awatch())
    assert vars(importlib.import_module("watchfiles"))["awatch"] == "of the app"
    sys.modules.pop("watchfiles")
