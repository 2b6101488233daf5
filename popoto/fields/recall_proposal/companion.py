"""What is kept beside a row of its proposals: in which partitions they are, and which outcomes were reported."""

from __future__ import annotations

from typing import Final

from popoto.fields.companions import Action, Companion, Fragment, Store

NAME: Final = "RecallProposal"
DEFAULT_PARTITION: Final = "default"
FRAGMENT: Final = Fragment("recall_proposal", "popoto.fields.recall_proposal")


def pending_base(model_name: str) -> str:
    """What the keys of pending sets begin with; a colon and the partition follow."""
    return f"$RP:{model_name}:pending"


def partitions_base(model_name: str) -> str:
    """What the keys of the sets of a row's partitions begin with; a colon and the row's key follow."""
    return f"$RP:{model_name}:of"


def proposals(model_name: str) -> Companion:
    """The companion of a model's proposals."""
    own = (Store("R", partitions_base(model_name)), Store("K", f"$RP:{model_name}:outcomes"))
    return Companion(FRAGMENT, NAME, (*own, Store("Z", f"{pending_base(model_name)}:{DEFAULT_PARTITION}")))


def resolving() -> Action:
    """The action that takes a row out of every pending set that it is in."""
    return Action(NAME, "resolve")


def once(outcome_id: str) -> Action:
    """The action that lets those behind it be done only when this outcome was not reported before."""
    return Action(NAME, "once", (outcome_id,))
