"""JSON as .NET reads it: comments and a comma behind the last member are allowed.

Both are replaced by blanks before Python's parser sees the text, so that the line and the column
of an error stay those of the file.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from durable_app.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_STRING: Final = r'"(?:\\.|[^"\\\n])*"'
_COMMENT: Final = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA: Final = re.compile(rf"{_STRING}|(?<=[^\s,\[{{:]),(?=\s*[\]}}])")
_NOT_A_BREAK: Final = re.compile(r"[^\r\n]")


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a file; empty where the file is absent or blank.

    Raises:
        ConfigError: it cannot be read, or is no JSON object; with line and column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    plain = without_comments(text)
    try:
        raw = json.loads(plain) if plain.strip() else {}
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}."
        ) from error
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, or thousands of brackets.
        raise ConfigError(f"{path}: not valid JSON: {error}.") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a JSON object, not {json_word(raw)}.")
    return raw


def without_comments(text: str) -> str:
    """The text with blanks in place of comments and of commas that nothing follows."""
    return _LAST_COMMA.sub(_blank, _COMMENT.sub(_blank, text))


def _blank(match: re.Match[str]) -> str:
    found = match[0]
    return found if found.startswith('"') else _NOT_A_BREAK.sub(" ", found)


def json_word(value: Any) -> str:
    """What JSON calls the type of a value."""
    words = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return words.get(type(value), "null" if value is None else "a number")
