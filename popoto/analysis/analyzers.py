"""An analyser by its name, or made of a callable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from popoto.analysis import english, simple
from popoto.exceptions import ModelException

Splitter = Callable[[str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Analyzer:
    """How a text becomes words: one way for ranking, one for membership. Immutable, and safe to share among threads.

    Attributes:
        name: what is stored with an index: `simple`, `english`, or `module.qualname` of a callable.
        k1: BM25's saturation of repeated terms, unless the field gives its own.
        b: BM25's weight of a text's length, 0 to 1, unless the field gives its own.
    """

    name: str
    k1: float
    b: float
    _terms: Callable[[str], list[str]]
    _words: Callable[[str], list[str]]

    def terms(self, text: str) -> list[str]:
        """Give the terms that rank a text, in its order with repeats, without stop words; it may have none.

        Raises:
            ModelException: `english` without snowballstemmer; a callable that gives anything but words.
        """
        return self._terms(text)

    def words(self, text: str) -> list[str]:
        """Give the words to look for in a filter or sketch, each once, in the text's order; none is dropped.

        Empty only for a text without a letter, a digit or an underscore.

        Raises:
            ModelException: `english` without snowballstemmer; a callable that gives anything but words.
        """
        return self._words(text)

    def __repr__(self) -> str:
        return f"Analyzer({self.name!r})"


# k1 and b of simple are 1.x's; those of english are Anserini's, and ranked best on conversations in our trials.
NAMED: Final = {
    "simple": Analyzer("simple", 1.2, 0.75, simple.terms, simple.words),
    "english": Analyzer("english", 0.9, 0.4, english.terms, english.words),
}


def analyzer(chosen: str | Splitter | Analyzer) -> Analyzer:
    """Give the analyser that a field chose: a name, a callable from a text to its words, or an analyser itself.

    Raises:
        ModelException: neither a known name nor a callable.
    """
    if isinstance(chosen, Analyzer):
        return chosen
    if isinstance(chosen, str) and chosen in NAMED:
        return NAMED[chosen]
    if callable(chosen):
        name = _name(chosen)
        return Analyzer(name, 1.2, 0.75, partial(_called, name, chosen), partial(_called_words, name, chosen))
    choices = ", ".join(map(repr, NAMED))
    raise ModelException(f"analyzer={chosen!r:.80} is unknown: use {choices} or a callable that gives a text's words")


def _name(split: Splitter) -> str:
    # A partial or an instance with __call__ has no name of its own: its type's is the nearest that is always the same.
    owner = split if hasattr(split, "__qualname__") else type(split)
    module = getattr(owner, "__module__", None) or "builtins"
    return f"{module}.{getattr(owner, '__qualname__', '')}"


def _called(name: str, split: Splitter, text: str) -> list[str]:
    given = split(text)
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ModelException(f"analyzer {name} gave {given!r:.80} and not words: return a list of str")
    found = list(given)
    for word in found:
        if not isinstance(word, str):
            raise ModelException(f"analyzer {name} gave {word!r:.80} among its words: return a list of str")
    return [word for word in found if word]


def _called_words(name: str, split: Splitter, text: str) -> list[str]:
    """Give the callable's words of a text and of each word of it; one of which it makes nothing stands for itself."""
    found = dict.fromkeys(_called(name, split, text))
    for word in simple.words(text):
        found.update(dict.fromkeys(_called(name, split, word) or [word]))
    return list(found)
