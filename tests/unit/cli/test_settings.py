"""`func settings`: the values of local.settings.json."""

import json

import pytest

from durable_app.cli.main import main


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "local.settings.json"
    path.write_text('{"IsEncrypted": false, "Values": {"A": "1"}, "Host": {"CORS": "*"}}')
    return path


def test_names_are_listed_and_values_only_if_asked_for(path, capsys):
    assert main(["settings", "list"]) == 0
    hidden = capsys.readouterr().out
    main(["settings", "list", "--showValue"])
    shown = capsys.readouterr().out
    assert "Name: A\n     Value: *****" in hidden
    assert "Value: 1" in shown


def test_a_value_is_set_and_removed_and_the_rest_stays(path):
    assert main(["settings", "add", "B", "2"]) == 0
    assert main(["settings", "delete", "A"]) == 0
    assert json.loads(path.read_text()) == {
        "IsEncrypted": False,
        "Values": {"B": "2"},
        "Host": {"CORS": "*"},
    }


def test_without_a_command_the_usage_is_shown(path, capsys):
    assert main(["settings"]) == 0
    assert "delete" in capsys.readouterr().out


def test_a_value_that_is_not_there_is_an_error(path, capsys):
    assert main(["settings", "delete", "B"]) == 1
    assert "has no value 'B'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no valid JSON"),
        ("[]", "is no JSON object"),
        ('{"Values": 1}', "is no JSON object"),
        ('{"IsEncrypted": true}', "is encrypted"),
    ],
)
def test_a_file_that_cannot_be_used_is_left_alone(path, capsys, text, reason):
    path.write_text(text)
    assert main(["settings", "add", "B", "2"]) == 1
    assert reason in capsys.readouterr().err
    assert path.read_text() == text


def test_a_file_that_is_missing_is_named(path, capsys):
    path.unlink()
    assert main(["settings", "list"]) == 1
    assert "Run `func init`" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(path, capsys, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.write_text", refused)
    assert main(["settings", "add", "B", "2"]) == 1
    assert "local.settings.json: Permission denied" in capsys.readouterr().err


def test_the_folder_may_be_named_behind_the_command(tmp_path, capsys):
    (tmp_path / "local.settings.json").write_text('{"Values": {"A": "1"}}')
    assert main(["settings", "list", "--script-root", str(tmp_path)]) == 0
    assert "Name: A" in capsys.readouterr().out
