"""What an outcome does to a row: the actions of its mixins and fields, in one step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from popoto.exceptions import StaleObjectError
from popoto.fields.companions import Action
from popoto.fields.outcomes import OUTCOMES
from popoto.fields.recall_proposal.companion import once, resolving
from popoto.fields.recall_proposal.proposal import RecallProposal
from popoto.storage import Op

DEFERRED = "deferred"


def actions(model: Any, outcome: str, outcome_id: str | None) -> list[Action]:
    """All that an outcome does to a row of an observed model, in order.

    First what has no condition, of mixins and then of fields; then what depends on it: a wrong prediction lowers
    confidences, and a low confidence discharges pressure.
    """
    found = list(model._outcome_actions(outcome))
    for field in model._meta.fields.values():
        found += field.outcome_actions(outcome)
    found.sort(key=lambda action: action.when is not None)
    first = [] if outcome_id is None else [once(outcome_id)]
    return [*first, resolving(), *found]


async def applied(instance: Any, outcome: str, outcome_id: str | None) -> None:
    """Do all that an outcome does to one row; a row that is gone is left alone."""
    chosen = actions(type(instance), outcome, outcome_id)
    try:
        replies = await instance._acting(chosen)
    except StaleObjectError:
        return
    fields = instance._meta.fields
    for action, reply in zip(chosen, replies, strict=True):
        # A field's companions are named after it.
        field = fields.get(action.companion.partition(":")[0])
        if field is not None:
            field.acted(instance, action.verb, reply)


def reported(
    instances: Iterable[Any], outcome_map: Mapping[str | bytes, str], outcome_id: str | None
) -> Iterator[tuple[Any, Callable[[], Op[Any]]]]:
    """Of each instance its model and what makes the plan of its outcome.

    Raises:
        ValueError: for an outcome that there is none of, before any plan is made.
        TypeError: when an instance was not saved, and its outcome is not deferred.
    """
    listed = list(instances)
    outcomes = {_text(key): outcome for key, outcome in outcome_map.items()} if listed else {}
    for key, outcome in outcomes.items():
        if outcome not in OUTCOMES:
            raise ValueError(f"the outcome of {key!r} is {outcome!r}: give one of {', '.join(OUTCOMES)}")
    made: list[tuple[Any, Callable[[], Op[Any]]]] = []
    for instance in listed:
        outcome = outcomes.get(instance.pk, DEFERRED)
        if instance._redis_key is None and outcome != DEFERRED:
            raise TypeError(
                f"{type(instance).__name__} {instance.pk!r} is not saved, so it cannot be {outcome}: save() it first"
            )
        if instance._meta.observed:
            plan: Callable[[], Op[Any]] = partial(applied, instance, outcome, outcome_id)
        else:
            plan = partial(RecallProposal.resolving, instance)
        made.append((type(instance), plan))
    return iter(made)


def _text(key: str | bytes) -> str:
    return key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else str(key)
