"""The templates of ``func new``: which there are, and what their code becomes under a name.

A template is a blueprint that works as it stands; ``my_function`` in it stands for the name that
the user chooses. The files are text here and are never imported.
"""

from __future__ import annotations

import ast
import re
from importlib.resources import files
from typing import Final, NamedTuple

from durable_app.cli.options import did_you_mean

_PLACEHOLDER: Final = "my_function"
# Names of queues have hyphens where functions have underscores.
_HYPHENATED: Final = "my-function"
_LEVEL: Final = "func.AuthLevel.FUNCTION"


class Template(NamedTuple):
    """One template.

    Attributes:
        file: in ``templates/``, without its suffix.
        is_durable: needs DFApp or a blueprint of ours.
        has_route: answers HTTP requests, so that it has an authorization level.
        aliases: other names, of Core Tools among them.
    """

    title: str
    file: str
    is_durable: bool = True
    has_route: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What it is for, in a few words."""
        doc = ast.get_docstring(ast.parse(self.source())) or ""
        return doc.splitlines()[0].partition(": ")[2]

    def source(self) -> str:
        """The blueprint as it is in its file."""
        return (files("durable_app.cli") / "templates" / f"{self.file}.py").read_text("utf-8")

    def render(self, name: str, level: str) -> str:
        """The blueprint under a name.

        Args:
            name: a Python identifier.
            level: ANONYMOUS, FUNCTION or ADMIN.
        """
        text = self.source().replace(_PLACEHOLDER, name)
        text = text.replace(_HYPHENATED, name.replace("_", "-").casefold())
        text = text.replace(_LEVEL, f"func.AuthLevel.{level}")
        # For the user durable_app is one installed package among others.
        return re.sub(r"(?<=as func)\n\n(?=import durable_app)", "\n", text)


CATALOG: Final = (
    Template("HTTP trigger", "http_trigger", is_durable=False),
    Template("Timer trigger", "timer_trigger", is_durable=False, has_route=False),
    Template("Queue trigger", "queue_trigger", is_durable=False, has_route=False),
    Template(
        "Function chaining",
        "chaining",
        aliases=("chain", "Durable Functions orchestrator", "Durable Functions HTTP starter"),
    ),
    Template("Fan-out/fan-in", "fan_out", aliases=("fan out",)),
    Template("Async HTTP API", "async_http_api", aliases=("async http", "http api")),
    Template("Monitor", "monitor"),
    Template("Human interaction", "human_interaction", aliases=("approval",)),
    Template("Saga", "saga", aliases=("compensation",)),
    Template("Sub-orchestrations", "sub_orchestration", aliases=("sub-orchestrator",)),
    Template("Eternal orchestration", "eternal"),
    Template("Agent pipeline", "agents", aliases=("agent", "AI agents")),
)


def find_template(text: str) -> Template | None:
    """The template that a text names: its number in the list, or a name in whatever spelling."""
    if text.strip().isdigit():
        number = int(text) - 1
        return CATALOG[number] if 0 <= number < len(CATALOG) else None
    wanted = _plain(text)
    for template in CATALOG:
        if wanted in {_plain(name) for name in _names(template)}:
            return template
    return None


def unknown_template(text: str) -> str:
    """What to say about a name that no template has."""
    near = did_you_mean(text, (template.title for template in CATALOG))
    return f'Can\'t find template "{text}" in "Python".{near} `func templates list` shows all.'


def _names(template: Template) -> tuple[str, ...]:
    title = template.title
    return (title, template.file, title.removesuffix(" trigger"), *template.aliases)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
