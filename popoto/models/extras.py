"""Commands that a model adds to the step that saves or deletes its row. Values only; nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Sequence
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


def words(extras: Sequence[Extra]) -> list[bytes]:
    """Extra commands as `extras.lua` reads them."""
    found = [b"%d" % len(extras)]
    for extra in extras:
        argv = extra.command.argv
        found += (b"%d" % extra.op_at, b"%d" % extra.sum_at, b"%d" % len(argv), *argv)
    return found
