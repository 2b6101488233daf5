"""A memory that works beside a conversation: it adds what is known before a turn, and keeps what was said after it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from popoto.exceptions import QueryException
from popoto.fields.observation import ObservationProtocol
from popoto.models import Model, bulk
from popoto.recipes.context_assembler import AssemblyResult, ContextAssembler
from popoto.storage import Op

Message = Mapping[str, Any]
_SENTENCE_ENDS: Final = re.compile(r"(?<=[.!?])\s+")
HEADING: Final = "\n\nRelevant context:\n"


def sentences(text: str, least: int) -> list[str]:
    """The sentences of a text that have at least so many characters, each once: it is split behind `.`, `!` and `?`."""
    found = [sentence.strip() for sentence in _SENTENCE_ENDS.split(text)]
    return list(dict.fromkeys(sentence for sentence in found if sentence and len(sentence) >= least))


class SubconsciousMemory:
    """Puts what an agent remembers into its messages, and remembers what it says.

    Args:
        model_class: the memories' model.
        agent_id: whose memories: they are found by it and saved with it.
        score_weights: as `ContextAssembler` takes them.
        max_items, max_tokens: of a context.
        extraction_min_length: characters of the shortest sentence that is remembered.
        system_preamble: the beginning of a system message that is made where there is none.
        content_field, importance_field, agent_id_field: the model's fields for a sentence, its importance, the agent;
            a model without an importance field gives None for it.
        **assembling: what else `ContextAssembler` takes, as `output_format`.

    Raises:
        QueryException: for a field that the model does not have, or an argument that makes no sense.
    """

    def __init__(
        self,
        model_class: type[Model],
        agent_id: str,
        score_weights: Mapping[str, float],
        max_items: int = 10,
        max_tokens: int | None = 4000,
        extraction_min_length: int = 10,
        system_preamble: str = "You are a helpful assistant.",
        content_field: str = "content",
        importance_field: str | None = "importance",
        agent_id_field: str = "agent_id",
        **assembling: Any,
    ) -> None:
        meta = model_class._meta
        for name in (content_field, importance_field, agent_id_field):
            if name is not None and name not in meta.fields:
                raise QueryException(f"{meta.model_name} has no field {name!r}{meta.near(name)}")
        self.model_class = model_class
        self.agent_id = agent_id
        self.extraction_min_length = extraction_min_length
        self.system_preamble = system_preamble
        self.content_field = content_field
        self.importance_field = importance_field
        self.agent_id_field = agent_id_field
        self.assembler = ContextAssembler(model_class, score_weights, max_items, max_tokens, **assembling)

    def inject_context(self, messages: Sequence[Message]) -> tuple[list[Message], AssemblyResult]:
        """Messages with what is remembered about the last one of the user.

        The memories go to the end of a system message that comes first, else into a new one. The messages that were
        given are left as they are, so a conversation that is kept without memories never piles them up.

        Returns:
            The messages, a new list; and what was assembled.
        """
        result = self.assembler._assembling(self._cues(messages), None, self._own(), False)
        found: AssemblyResult = self.model_class._run(result)
        return self._injected(messages, found), found

    async def async_inject_context(self, messages: Sequence[Message]) -> tuple[list[Message], AssemblyResult]:
        """`inject_context` for asyncio."""
        result = self.assembler._assembling(self._cues(messages), None, self._own(), False)
        found: AssemblyResult = await self.model_class._arun(result)
        return self._injected(messages, found), found

    def extract_memories(self, text: str, importance: float = 0.5) -> list[Any]:
        """Save each sentence of a text as a memory, all in one round trip.

        Returns:
            The saved memories, without those that the model's filter of writes refuses.
        """
        return self.model_class._run(self._extracting(text, importance))  # type: ignore[no-any-return]

    async def async_extract_memories(self, text: str, importance: float = 0.5) -> list[Any]:
        """`extract_memories` for asyncio."""
        return await self.model_class._arun(self._extracting(text, importance))  # type: ignore[no-any-return]

    def report_outcomes(self, result: AssemblyResult, outcome: str = "acted", outcome_id: str | None = None) -> None:
        """Apply one outcome to every record of a context: `ObservationProtocol.on_context_used`.

        Raises:
            ValueError: for an unknown outcome.
        """
        outcomes: dict[str | bytes, str] = {record.pk: outcome for record in result.records}
        ObservationProtocol.on_context_used(result.records, outcomes, outcome_id=outcome_id)

    async def async_report_outcomes(
        self, result: AssemblyResult, outcome: str = "acted", outcome_id: str | None = None
    ) -> None:
        """`report_outcomes` for asyncio."""
        outcomes: dict[str | bytes, str] = {record.pk: outcome for record in result.records}
        await ObservationProtocol.async_on_context_used(result.records, outcomes, outcome_id=outcome_id)

    # -- parts

    def _own(self) -> dict[str, Any]:
        return {self.agent_id_field: self.agent_id}

    def _cues(self, messages: Sequence[Message]) -> dict[str, str]:
        said = [_text(one.get("content")) for one in messages if one.get("role") == "user"]
        return {"topic": said[-1]} if said and said[-1].strip() else {}

    def _injected(self, messages: Sequence[Message], result: AssemblyResult) -> list[Message]:
        given = list(messages)
        if not result.records:
            return given
        context = HEADING + result.formatted
        if not given or given[0].get("role") != "system":
            return [{"role": "system", "content": self.system_preamble + context}, *given]
        content = given[0].get("content")
        if isinstance(content, list | tuple):
            return [{**given[0], "content": [*content, {"type": "text", "text": context}]}, *given[1:]]
        return [{**given[0], "content": _text(content) + context}, *given[1:]]

    def _extracting(self, text: str, importance: float) -> Op[list[Any]]:
        more = {} if self.importance_field is None else {self.importance_field: importance}
        made = [
            self.model_class(**{self.content_field: sentence, **self._own(), **more})
            for sentence in sentences(text, self.extraction_min_length)
        ]
        return bulk.create(self.model_class, [one for one in made if one._admitted()], max(1, len(made)))


def _text(content: Any) -> str:
    """A message's text; of parts those that are text, a line each."""
    if isinstance(content, list | tuple):
        return "\n".join(str(one["text"]) for one in content if isinstance(one, Mapping) and "text" in one)
    return "" if content is None else str(content)
