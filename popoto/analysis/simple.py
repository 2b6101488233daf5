"""The analyser `simple`: the tokenizer of 1.x. No stemming, and no normalisation of ranked terms."""

from __future__ import annotations

import re
from typing import Final

from popoto.analysis.folding import COMPATIBLE

_DROPPED: Final = """
the and for are but not you all can had her was one our out has his how its may new now old see way who did got
let say she too use with have from this that they been will into than them then what when which would there their
about
"""
STOP_WORDS: Final = frozenset(_DROPPED.split())
SHORTEST: Final = 3
_WORD = re.compile(r"\w+")


def terms(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if len(word) >= SHORTEST and word not in STOP_WORDS]


def words(text: str) -> list[str]:
    return list(dict.fromkeys(_WORD.findall(COMPATIBLE.folded(text))))
