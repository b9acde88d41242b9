"""JSON lines."""

import json

import pytest

from durable_app.errors import ConfigError
from durable_app.host.console.json_lines import JsonFile, json_line
from durable_app.host.console.log_levels import Level


def test_only_what_is_known_is_in_a_line():
    line = json_line(None, Level.INFORMATION, "Host", "a\nb \x1b[31mred\x1b[0m")
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "level": "Information",
        "category": "Host",
        "message": "a\nb red",
    }


def test_a_file_is_appended_to(tmp_path):
    path = tmp_path / "log.json"
    path.write_text("before\n")
    file = JsonFile(path)
    file.write(json_line("now", Level.ERROR, "Function.f.User", "é", function="f"))
    written = path.read_text()
    file.close()
    file.close()
    before, line = written.splitlines()
    assert before == "before"
    assert json.loads(line)["message"] == "é"


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent/log\.json") as caught:
        JsonFile(tmp_path / "absent" / "log.json")
    assert "--json-output-file" in str(caught.value)
