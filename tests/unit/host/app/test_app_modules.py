"""Imports of an app's modules that can be done again, and undone."""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.functions import get_binding_registry

from durable_app.host.app.app_modules import app_modules, fresh_modules, source_of

CONVERTER = """
from azure.functions import meta

class Converter(meta.InConverter, binding="appModulesTest"):
    @classmethod
    def check_input_type_annotation(cls, pytype):
        return True

    @classmethod
    def decode(cls, data, *, trigger_metadata):
        return data
"""


@pytest.fixture(autouse=True)
def _imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_own_modules_are_imported_anew_and_others_are_not(tmp_path):
    write(tmp_path, "mine/part.py", "value = object()")
    write(tmp_path, ".venv/lib/site-packages/theirs.py", "value = object()")
    write(tmp_path, "env/pyvenv.cfg", "")
    write(tmp_path, "env/lib/hidden.py", "value = object()")
    sys.path[:0] = [str(tmp_path / ".venv/lib/site-packages"), str(tmp_path / "env/lib")]

    names = ("mine.part", "theirs", "hidden")
    first = {name: importlib.import_module(name) for name in names}
    assert list(app_modules(tmp_path)) == ["mine", "mine.part"]
    with fresh_modules(tmp_path):
        second = {name: importlib.import_module(name) for name in names}
    assert {name for name in names if first[name] is second[name]} == {"theirs", "hidden"}


def test_after_an_error_the_earlier_modules_are_back(tmp_path):
    write(tmp_path, "mine.py", "version = 1")
    mine = importlib.import_module("mine")
    write(tmp_path, "mine.py", "version = 222")
    write(tmp_path, "new.py", "")

    def load() -> None:
        assert importlib.import_module("mine").version == 222
        importlib.import_module("new")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), fresh_modules(tmp_path):
        load()
    assert sys.modules["mine"] is mine
    assert mine.version == 1
    assert "new" not in sys.modules


def test_a_save_within_the_second_and_of_the_same_length_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    source = write(tmp_path, "mine.py", "version = 1")
    moment = 1_700_000_000
    os.utime(source, (moment, moment))
    cached = importlib.import_module("mine").__cached__
    assert Path(cached).exists()
    os.utime(cached, ns=(moment * 10**9 + 1, moment * 10**9 + 1))
    source.write_text("version = 2")
    os.utime(source, ns=(moment * 10**9 + 2, moment * 10**9 + 2))
    with fresh_modules(tmp_path):
        assert importlib.import_module("mine").version == 2


def test_converters_of_the_app_can_be_registered_again(tmp_path):
    write(tmp_path, "converters.py", CONVERTER)
    registry = get_binding_registry()
    with fresh_modules(tmp_path):
        importlib.import_module("converters")
    first = registry.get("appModulesTest")
    with fresh_modules(tmp_path):
        importlib.import_module("converters")
    second = registry.get("appModulesTest")

    def load() -> None:
        assert registry.get("appModulesTest") is None
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), fresh_modules(tmp_path):
        load()
    assert registry.get("appModulesTest") is second is not first
    del registry._bindings["appModulesTest"]


def test_what_is_no_ordinary_module_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "odd.none", None)
    monkeypatch.setitem(sys.modules, "odd.number", 5)
    made = types.ModuleType("made")
    made.__file__ = str(tmp_path / "made.py")
    monkeypatch.setitem(sys.modules, "made", made)
    ours = types.ModuleType("durable_app.made")
    ours.__file__ = str(tmp_path / "durable_app" / "made.py")
    monkeypatch.setitem(sys.modules, "durable_app.made", ours)
    assert list(app_modules(tmp_path)) == ["made"]
    with fresh_modules(tmp_path):
        assert "made" not in sys.modules
    assert source_of(types.ModuleType("empty")) is None
    assert source_of(made) == tmp_path / "made.py"
