"""Commands that a model adds to the step that saves or deletes its row. Values only; nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from popoto.storage import Command


@dataclass(frozen=True, slots=True)
class Extra:
    """One command more in the step.

    Attributes:
        command: the command; it may touch keys of the model's own slot only.
        op_at: which of its words, from 1, the script replaces by `create`, `update` or `delete`: the server alone
            knows whether the row was there; 0 for none.
        sum_at: which of its words the script of an addition replaces by the sum; 0 for none.
    """

    command: Command[object]
    op_at: int = 0
    sum_at: int = 0


def words(extras: Iterable[Extra]) -> list[bytes | str | int]:
    """Extra commands as `extras.lua` reads them; nothing for none."""
    listed = list(extras)
    if not listed:
        return []
    found: list[bytes | str | int] = [len(listed)]
    for extra in listed:
        found += (extra.op_at, extra.sum_at, len(extra.command.argv), *extra.command.argv)
    return found
