"""Where confidences are kept: the keys of their hashes, apart from a store's own prefix."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from popoto.keys import field_tag, part

_MARKED = re.compile(r"/(.)", re.DOTALL)
_LITERAL_NONE = re.compile(r"/+None")


def base(tag: str, model_name: str, field_name: str) -> str:
    """What the keys of a field begin with."""
    return f"{field_tag(tag)}:{model_name}:{field_name}"


def place(values: Iterable[Any]) -> str:
    """The parts of partition values, each behind a colon: as they are but for colons, as companions.lua spells them."""
    return "".join(f":{_bare(part(value))}" for value in values)


def _bare(spelled: str) -> str:
    if "&#58;" in spelled or _LITERAL_NONE.fullmatch(spelled):
        return spelled
    return _MARKED.sub(r"\1", spelled)
