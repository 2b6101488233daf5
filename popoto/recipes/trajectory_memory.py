"""Patterns of what an agent did: sequences of steps that keep coming back for one kind of task."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from popoto.exceptions import QueryException
from popoto.fields.companions import Action
from popoto.fields.constants import Defaults
from popoto.models import Model, writing
from popoto.models.creating import get_or_create
from popoto.recipes.context_assembler import signals
from popoto.recipes.policy_cache.statistics import compute_fingerprint
from popoto.storage import Op, together

SUCCEEDED: Final = 0.9
FAILED: Final = 0.1
WEIGHTS: Final[Mapping[str, float]] = {"confidence": 0.6, "last_reinforced": 0.4}


@dataclass(frozen=True, slots=True)
class Episode:
    """What was done once.

    Attributes:
        features: what the task was.
        steps: what was done, in order.
        success: how it went, 0 to 1; True and False are 1 and 0.
        at: when, Unix seconds; the later of two sequences that are equally frequent is the pattern's.
    """

    features: Mapping[str, Any]
    steps: Sequence[Any]
    success: float = 1.0
    at: float = 0.0


def canonical(episodes: Sequence[Episode]) -> list[Any]:
    """The most frequent sequence of steps; of equally frequent ones that of the newest episode."""
    texts = [json.dumps(list(one.steps), sort_keys=True, default=str) for one in episodes]
    counts = Counter(texts)
    newest = max(range(len(texts)), key=lambda place: (counts[texts[place]], episodes[place].at, place))
    return list(episodes[newest].steps)


def signal_of(success: float) -> float:
    """The confidence signal of an outcome: 0.1 for a failure to 0.9 for a success.

    Raises:
        ValueError: for a success that is no number.
    """
    if not isinstance(success, int | float) or success != success:
        raise ValueError(f"success={success!r} must be True, False or a number from 0 to 1")
    return FAILED + (SUCCEEDED - FAILED) * min(1.0, max(0.0, float(success)))


class TrajectoryMemory:
    """Keeps, for each kind of task, the sequence of steps that is done most, and how sure one may be of it.

    The model's rows are the patterns. It needs a KeyField `fingerprint`, a field `trajectory` (a list),
    a ConfidenceField `confidence`, and a DecayingSortedField `last_reinforced`; a KeyField `agent_id` too where an
    agent is given.

    Args:
        model_class: the patterns' model.
        key_features: the features that make two tasks of one kind; all unless given.
        agent_id: whose patterns.
        score_weights: what recall ranks by; confidence 0.6 and last_reinforced 0.4 unless given.

    Raises:
        QueryException: when the model lacks a field.
    """

    def __init__(
        self,
        model_class: type[Model],
        key_features: Sequence[str] | None = None,
        agent_id: str | None = None,
        score_weights: Mapping[str, float] = WEIGHTS,
    ) -> None:
        meta = model_class._meta
        named = ["agent_id"] if agent_id is not None else []
        for name in ["fingerprint", "trajectory", "confidence", "last_reinforced", *named]:
            if name not in meta.fields:
                raise QueryException(f"{meta.model_name} has no field {name!r}, which patterns need{meta.near(name)}")
        signals.weighed(model_class, score_weights)
        self.model_class = model_class
        self.key_features = None if key_features is None else tuple(key_features)
        self.agent_id = agent_id
        self.score_weights = dict(score_weights)

    def fingerprint(self, features: Mapping[str, Any]) -> str:
        """The name of a kind of task.

        Raises:
            KeyError: for a key feature that is missing.
        """
        return compute_fingerprint(features, self.key_features)

    def crystallize(self, episodes: Iterable[Episode]) -> list[Any]:
        """Make or renew a pattern of each kind of task that has `Defaults.TRAJECTORY_CLUSTER_THRESHOLD` (3) episodes.

        Every episode of such a kind is a signal for the pattern's confidence, in the order of time. At most three round
        trips.

        Returns:
            The patterns.
        """
        return self.model_class._run(self._crystallizing(list(episodes)))  # type: ignore[no-any-return]

    async def async_crystallize(self, episodes: Iterable[Episode]) -> list[Any]:
        """`crystallize` for asyncio."""
        return await self.model_class._arun(self._crystallizing(list(episodes)))  # type: ignore[no-any-return]

    def recall(self, features: Mapping[str, Any] | None = None, limit: int = 5) -> list[Any]:
        """The patterns that are surest and freshest; those of one kind of task where features are given."""
        return self.model_class._run(self._recalling(features, limit))  # type: ignore[no-any-return]

    async def async_recall(self, features: Mapping[str, Any] | None = None, limit: int = 5) -> list[Any]:
        """`recall` for asyncio."""
        return await self.model_class._arun(self._recalling(features, limit))  # type: ignore[no-any-return]

    # -- plans

    async def _crystallizing(self, episodes: Sequence[Episode]) -> list[Any]:
        kinds: dict[str, list[Episode]] = {}
        for episode in episodes:
            kinds.setdefault(self.fingerprint(episode.features), []).append(episode)
        kinds = {
            name: sorted(some, key=lambda one: one.at)
            for name, some in kinds.items()
            if len(some) >= Defaults.TRAJECTORY_CLUSTER_THRESHOLD
        }
        for some in kinds.values():
            for episode in some:
                signal_of(episode.success)
        found = await together([self._pattern(name, canonical(some)) for name, some in kinds.items()])
        await together([self._reinforced(row, some) for row, some in zip(found, kinds.values(), strict=True)])
        return list(found)

    async def _pattern(self, name: str, steps: list[Any]) -> Any:
        lookup = {"fingerprint": name, **self._own()}
        found, made = await get_or_create(self.model_class, {"trajectory": steps}, lookup)
        row: Any = found
        if not made:
            # What has come to be done most replaces what was; a save renews the moment of reinforcement too.
            row.trajectory = steps
            await writing.save(row)
        return row

    async def _reinforced(self, row: Any, episodes: Sequence[Episode]) -> None:
        field = row._meta.fields["confidence"]
        prior = field.prior()
        actions = [Action(field.name, "signal", (signal_of(one.success), prior)) for one in episodes]
        *_, last = await row._acting(actions, changed=(field.name,))
        field.acted(row, "signal", last)

    def _recalling(self, features: Mapping[str, Any] | None, limit: int) -> Op[list[Any]]:
        conditions = self._own()
        if features is not None:
            conditions["fingerprint"] = self.fingerprint(features)
        query: Any = self.model_class.query.filter(**conditions)
        plan: Op[list[Any]] = query._composing(self.score_weights, limit, "SUM", None, None, 1.0, None, False, {})
        return plan

    def _own(self) -> dict[str, Any]:
        return {} if self.agent_id is None else {"agent_id": self.agent_id}
