"""Fingerprints: the text by which a row is known to filters and sketches, and its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from popoto.analysis import Analyzer
from popoto.exceptions import ModelException

FingerprintFn = Callable[[Any], str]
# A row of so many words takes a server about 50 ms.
MOST_WORDS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """How a field knows the rows of a model.

    Attributes:
        owner: the model and the field, as errors name them.
        model_name: the model.
        analyzer: gives a text's words.
        fingerprint_fn: the text of an instance; None for its key.
    """

    owner: str
    model_name: str
    analyzer: Analyzer
    fingerprint_fn: FingerprintFn | None

    @property
    def follows(self) -> tuple[str, ...] | None:
        """The fields whose changes change the words; None where a function of the user's looks at any."""
        return () if self.fingerprint_fn is None else None

    def said(self, instance: Any, change: Any) -> list[str] | None:
        """The words of a row that is saved; None when they stay as they are."""
        fresh = change.mode != "update" or change.former is not None
        if not fresh and (self.fingerprint_fn is None or not (change.values or change.apart)):
            return None
        if change.mode == "reindex":
            # What another writer changed meanwhile, that one has told.
            change.expected.update(instance._raw)
        text = change.key if self.fingerprint_fn is None else self.fingerprint_fn(instance)
        if not isinstance(text, str):
            raise ValueError(f"{self.owner}: fingerprint_fn gave {text!r:.80} for {change.key!r}: let it give a str")
        words = self._words(text)
        if len(words) > MOST_WORDS:
            raise ModelException(
                f"{self.owner}: the fingerprint has {len(words)} different words, and a row may have {MOST_WORDS}: "
                "let fingerprint_fn give less"
            )
        return words

    def asked(self, text: str) -> list[str]:
        """The words of a question; a key is asked without the model's name, which every key has."""
        if self.fingerprint_fn is None and text.startswith(f"{self.model_name}:"):
            text = text[len(self.model_name) + 1 :]
        return self._words(text)

    def _words(self, text: str) -> list[str]:
        # A text without any letter or digit is known as a whole.
        return self.analyzer.words(text) or [text.lower()]
