"""What stands for a language model in `agents.py`: typed prompts and replies, and no network.

A model of your own has the method `ask` of `Model`; most services take a JSON schema
(`reply.model_json_schema()`) and give text that `reply.model_validate_json` reads.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, Field

import durable_app as df


class Prompt(BaseModel):
    """One call of the model.

    Attributes:
        conversation: the instance that asks.
        question: as it was asked.
        part: for a specialist.
        findings: for the writer.
        draft: for the reviewer, and for a writer who has to mend it.
        reasons: for the writer: why the draft came back.
        refusals: how many calls of this conversation the imaginary model refuses.
    """

    conversation: str
    question: str
    part: str = ""
    findings: list[str] = []
    draft: str = ""
    reasons: list[str] = []
    refusals: int = 0


class Reply(BaseModel):
    """What every reply of the model has: its price."""

    tokens: int = 0


class Plan(Reply):
    """The question in parts, each for a specialist."""

    parts: list[str] = Field(min_length=1, max_length=50)


class Finding(Reply):
    """A specialist's answer."""

    text: str


class Draft(Reply):
    """An article."""

    text: str


class Verdict(Reply):
    """The reviewer's; the reasons say what to mend and are empty for a draft that passes."""

    passes: bool
    reasons: list[str] = []


R = TypeVar("R", bound=Reply)


@df.register_exception
class ModelBusyError(Exception):
    """The model has no time now; another attempt may succeed."""


class Model(Protocol):
    """What the activities need of a model: a typed reply to a prompt."""

    async def ask(self, prompt: Prompt, reply: type[R]) -> R:
        """Reply; raise ModelBusyError where a later attempt may succeed, NonRetriableError else."""


class ScriptedModel:
    """Stands for a model: the same reply to the same prompt, by rule and without a network."""

    def __init__(self) -> None:
        self._refused = Counter[str]()
        self._rules: dict[type[Reply], Callable[[Prompt], dict[str, Any]]] = {
            Plan: self._plan,
            Finding: lambda prompt: {"text": f"{prompt.part}: yes, as far as we know."},
            Draft: self._draft,
            Verdict: self._verdict,
        }

    async def ask(self, prompt: Prompt, reply: type[R]) -> R:
        """Reply by the rule for this kind of reply; a token is a word."""
        if self._refused[prompt.conversation] < prompt.refusals:
            self._refused[prompt.conversation] += 1
            raise ModelBusyError("The model is overloaded.")
        fields = self._rules[reply](prompt)
        words = re.findall(r"\w+", prompt.model_dump_json(exclude={"conversation"}) + str(fields))
        return reply.model_validate({**fields, "tokens": len(words)})

    def _plan(self, prompt: Prompt) -> dict[str, Any]:
        parts = re.split(r",|\band\b", prompt.question.strip(" ?."))
        return {"parts": [part.strip() for part in parts if part.strip()] or ["everything"]}

    def _draft(self, prompt: Prompt) -> dict[str, Any]:
        # A writer who mends goes on from the draft, and does what the reviewer says.
        lines = [prompt.draft] if prompt.draft else [prompt.question, *prompt.findings]
        return {"text": "\n".join([*lines, *(f"({reason} Mended.)" for reason in prompt.reasons)])}

    def _verdict(self, prompt: Prompt) -> dict[str, Any]:
        wishes = ("No sources.", "No summary.")
        missing = [wish for wish in wishes if wish not in prompt.draft]
        return {"passes": not missing, "reasons": missing[:1]}
