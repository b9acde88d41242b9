"""Fan-out/fan-in: many activities at the same time, then one result.

    curl -X POST localhost:7071/api/orchestrators/count_words \
         -d '["to be or not to be", "that is the question"]'

`call_activity` starts the work, `yield` waits for it. Start all, then wait for all.
"""

from collections.abc import Generator
from typing import Any, TypedDict

import durable_app as df

bp = df.Blueprint()

SAMPLE = ["the quick brown fox", "jumps over", "the lazy dog"]


class WordCount(TypedDict):
    """Words of each text, in the order of the input, and of all together."""

    per_text: list[int]
    total: int


@bp.orchestration_trigger(context_name="context", input_type=list[str])
def count_words(context: df.DurableOrchestrationContext) -> Generator[Any, Any, WordCount]:
    """Count the words of all texts in parallel; a sample if there is no input."""
    texts = context.get_input()
    if texts is None:
        texts = SAMPLE
    counts = yield context.task_all([context.call_activity(words_in, text) for text in texts])
    return {"per_text": counts, "total": sum(counts)}


@bp.activity_trigger(input_name="text")
def words_in(text: str) -> int:
    """Number of words of one text."""
    return len(text.split())
