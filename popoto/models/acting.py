"""Actions on what a row's companions keep: all of one call are one step, on a row that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from popoto.exceptions import ReplyError, StaleObjectError
from popoto.fields.companions import Action, Condition
from popoto.models.extras import words as extra_words
from popoto.models.writing import key_bytes, present
from popoto.storage import Call, ask, layout
from popoto.storage.steps import Arg

if TYPE_CHECKING:
    from popoto.models.model import Model


async def act(
    instance: Model, actions: Sequence[Action], *, reading: bool = False, changed: Sequence[str] = ()
) -> list[Any]:
    """Do things to the companions of a stored row and return the fragments' raw replies, in order.

    Args:
        instance: the row.
        actions: what to do.
        reading: whether the verbs only read.
        changed: the fields whose stored values the actions change; what a mixin adds to a save joins the step.

    Raises:
        StaleObjectError: when the row is no longer stored. Nothing was changed.
    """
    meta = instance._meta
    keyspace = meta.keyspace(await layout())
    key = instance.pk
    concerned = {action.companion for action in actions}
    words: list[Arg] = [present(), int(reading), *meta.companion_words(keyspace.prefix, concerned)]
    words.append(len(actions))
    for action in actions:
        words += (action.companion, action.verb, *_condition(action.when), len(action.words), *action.words)
    if changed:
        words += extra_words(instance._extra_commands(key, keyspace.prefix, changed))
    script = keyspace.scripts.look if reading else keyspace.scripts.act
    try:
        return await ask(Call(script, [key_bytes(keyspace.prefix + key)], words))
    except ReplyError as error:
        if error.code != "GONE":
            raise
        raise StaleObjectError(
            f"{meta.model_name} {key!r} is not stored: save() it first, or load it again if it was deleted or renamed"
        ) from None


def _condition(when: Condition | None) -> tuple[Arg, Arg, Arg]:
    if when is None:
        return "", "", ""
    return when.noted, "" if when.above is None else when.above, "" if when.most is None else when.most
