"""What the documentation says is checked against the code that it is about."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import durable_app.testing
from docs import build_reference, reference_pages, settings_reference
from durable_app.cli import hub, init, keys, main, new, pack, settings, start, worker
from durable_app.cli.catalog import CATALOG
from durable_app.cli.durable.parsing import durable_parser
from durable_app.cli.options import split_globals
from durable_app.host.config import options as host_options
from durable_app.host.config.options import HostSettings
from durable_app.host.config.settings import LocalSettings

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PARSERS = {
    "start": start._parser,
    "init": init._parser,
    "keys": keys._parser,
    "new": new._parser,
    "pack": pack._parser,
    "settings": settings._parser,
    "durable": durable_parser,
    "hub": hub._parser,
    "worker": worker._parser,
}


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for found in re.finditer(r"^```(\w+)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        if found[1] in languages:
            yield found[2]


def examples(*languages: str) -> list[object]:
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        if page.parent.name != "reference"
        for number, text in enumerate(blocks(page, *languages), 1)
    ]


def func_lines() -> Iterator[tuple[str, list[str]]]:
    """Every line of a shell example that calls this program, with its arguments."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True)
                while words and re.fullmatch(r"\w+=\S*", words[0]):
                    words.pop(0)
                if words[:1] in (["func"], ["durable-app"]):
                    yield f"{page.name}: {line.strip()}", words[1:]


# -- Examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", examples("python"))
def test_every_python_example_compiles(text: str) -> None:
    assert compile(text, "example.py", "exec").co_name == "<module>"


@pytest.mark.parametrize("text", examples("json"))
def test_every_json_example_is_json(text: str) -> None:
    assert isinstance(json.loads(text), dict | list)


@pytest.mark.parametrize("words", [pytest.param(words, id=line) for line, words in func_lines()])
def test_every_command_is_understood(words: list[str]) -> None:
    _, rest = split_globals(words)
    if rest[0] in main._HELP | main._VERSION or "--help" in rest:
        return
    verb, taken = main._verb(rest)
    assert verb is not None, f"{rest[0]} is no command of ours"
    if verb == "templates":
        assert rest[1:] == ["list"]
        return
    arguments = ["null" if word == "@input.json" else word for word in rest[taken:]]
    PARSERS[verb]().parse_args(arguments)


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_the_index_of_decisions_has_each_of_them_by_its_title() -> None:
    folder = ROOT / "docs" / "adr"
    titles = {
        path.name: path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        for path in folder.glob("0*.md")
    }
    listed = re.findall(r"^- \[(.*)\]\((.*)\)$", (folder / "README.md").read_text("utf-8"), re.M)
    assert listed == [(title, name) for name, title in sorted(titles.items())]
    assert all(title.startswith(name[:5].replace("-", " ")) for name, title in titles.items())


def test_every_guide_is_in_the_index() -> None:
    text = (ROOT / "docs" / "README.md").read_text("utf-8")
    assert {page.name for page in GUIDE.glob("*.md") if f"(guide/{page.name})" not in text} == set()


# -- Completeness ---------------------------------------------------------------------------------


def test_every_verb_has_a_parser_here() -> None:
    # `func templates list` has no options of its own.
    assert main._VERBS.keys() - PARSERS.keys() == {"templates"}


@pytest.mark.parametrize("verb", PARSERS)
def test_every_option_of_a_command_is_told(verb: str) -> None:
    pages = [GUIDE / "command-line.md", GUIDE / "local-development.md"]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    names = option_names(PARSERS[verb]())
    assert {name for name in names if not re.search(rf"`{name}[` ]", text)} == set()


def option_names(parser: argparse.ArgumentParser) -> set[str]:
    names: set[str] = set()
    for action in parser._actions:
        names.update(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                names |= option_names(command)
                names |= {name} if parser.prog == "func durable" else set()
    return names


def test_every_verb_and_template_is_told() -> None:
    text = (GUIDE / "command-line.md").read_text("utf-8")
    missing = [verb for verb in main._VERBS if f"func {verb}" not in text]
    missing += [template.title for template in CATALOG if f"| {template.title} |" not in text]
    assert missing == []


def told_options() -> dict[str, str]:
    """What the guide says about each option, by its path."""
    text = (GUIDE / "settings.md").read_text("utf-8")
    return dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", text, re.M))


@pytest.mark.parametrize("model", [HostSettings, LocalSettings])
def test_every_option_of_the_files_is_told(model: type[HostSettings]) -> None:
    paths = {option.path for option in settings_reference.options_of(model)}
    assert paths - told_options().keys() == set()


def test_no_option_is_told_that_does_not_exist() -> None:
    known = {
        option.path
        for model in (HostSettings, LocalSettings)
        for option in settings_reference.options_of(model)
    }
    told = {path for path in told_options() if not path.isupper()}
    assert {path for path in told if "." in path or path[0].islower()} - known == set()


def test_what_is_said_to_have_no_effect_is_read_nowhere() -> None:
    models = Path(host_options.__file__)
    code = "\n".join(
        path.read_text("utf-8")
        for path in (ROOT / "durable_app").rglob("*.py")
        if path != models and path.parent.name != "replay"
    )
    wrong = []
    for path, text in told_options().items():
        name = re.sub(r"(?<!^)([A-Z])", r"_\1", path.rpartition(".")[2]).lower()
        is_common = path.endswith((".version", ".isEnabled"))
        if text.startswith("no effect") and not is_common and re.search(rf"\.{name}\b", code):
            wrong.append(path)
    assert wrong == []


def test_every_variable_of_ours_is_told() -> None:
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "durable_app").rglob("*.py"))
    variables = set(re.findall(r"\bDURABLE_APP_[A-Z_]+", code))
    # Between this program and the one that a command is passed on to.
    variables -= {"DURABLE_APP_PASSED_ON"}
    text = (GUIDE / "settings.md").read_text("utf-8")
    assert {name for name in variables if f"`{name}`" not in text} == set()


# -- Reference ------------------------------------------------------------------------------------


def test_every_public_name_has_one_place() -> None:
    for package in (durable_app, durable_app.testing):
        pages = [page for page in reference_pages.PAGES if page.package == package.__name__]
        names = [name for page in pages for name in page.names]
        assert sorted(names) == sorted(package.__all__)


def test_the_reference_is_what_the_docstrings_say(capsys: pytest.CaptureFixture[str]) -> None:
    code = build_reference.main(["--check"])
    assert (code, capsys.readouterr().err) == (0, "")


def test_every_member_is_described() -> None:
    undescribed = [
        f"{file}: {heading}"
        for file, text in build_reference.pages().items()
        for heading in re.findall(r"^### (\w+)\n\n```python\n[^`]*```\n\n(?=#|\Z)", text, re.M)
    ]
    assert undescribed == []


def test_pages_are_written_where_they_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build_reference, "FOLDER", tmp_path / "reference")
    assert build_reference.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert build_reference.main([]) == 0
    assert (tmp_path / "reference" / "client.md").is_file()
    assert build_reference.main(["--check"]) == 0
