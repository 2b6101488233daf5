"""A field that estimates how many rows have a word, in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from popoto.analysis import analyzer as chosen_analyzer
from popoto.exceptions import ModelException, QueryException
from popoto.fields.companions import Companion
from popoto.fields.fingerprints import FingerprintFn, Fingerprints
from popoto.fields.frequency_sketch.index import Sketch
from popoto.fields.valueless import ValuelessField
from popoto.storage.plans import layout


class FrequencySketch(ValuelessField):
    """A Count-Min sketch of the words of every row's fingerprint. It holds no value of its own.

    A word's count is the least of `depth` counters, one in each row of the sketch. It is never too low, and too high by
    more than e/width times all words that were counted with a probability of at most exp(-depth); Cormode and
    Muthukrishnan 2005, "An improved data stream summary". A row counts once for each of its words, however often it is
    saved; a word that it loses, and the words of a row that goes, are counted down.

    Args:
        width: counters in a row of the sketch, 2 to 2^24.
        depth: rows of the sketch, 1 to 32.
        fingerprint_fn: gives an instance's fingerprint, a text; the row's key unless given. A save that changes any
            value asks it anew.
        analyzer: `simple`, `english`, or a callable from a text to its words; its name is stored with the sketch.

    Raises:
        ModelException: for an option out of its range.
    """

    def __init__(
        self,
        width: int = 2000,
        depth: int = 7,
        fingerprint_fn: FingerprintFn | None = None,
        analyzer: Any = "simple",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if fingerprint_fn is not None and not callable(fingerprint_fn):
            raise ModelException(f"{self._title()}: fingerprint_fn={fingerprint_fn!r:.80} must be callable")
        self.width = _whole("width", width, 2, 2**24)
        self.depth = _whole("depth", depth, 1, 32)
        self.fingerprint_fn = fingerprint_fn
        self.analyzer = chosen_analyzer(analyzer)

    def companions(self, model_name: str) -> Sequence[Companion]:
        return [self._sketch(model_name).companion(self.name, self._prints(model_name))]

    def _sketch(self, model_name: str) -> Sketch:
        return Sketch(f"$FS:{model_name}:{self.name}", self.analyzer, self.width, self.depth)

    def _prints(self, model_name: str) -> Fingerprints:
        return Fingerprints(f"{model_name}.{self.name}", model_name, self.analyzer, self.fingerprint_fn)

    def get_frequency(self, model_class: Any, text: str) -> int:
        """How many rows have the text's rarest word, never less than there are; 0 for one that was never seen.

        Raises:
            QueryException: when the sketch cannot tell, as after a change of its options; the message names the remedy.
        """
        return int(model_class._run(self._asking(model_class, text)))

    async def async_get_frequency(self, model_class: Any, text: str) -> int:
        """`get_frequency` for asyncio."""
        return int(await model_class._arun(self._asking(model_class, text)))

    async def _asking(self, model_class: Any, text: str) -> int:
        meta = model_class._meta
        if not isinstance(text, str):
            raise QueryException(f"{meta.model_name}.{self.name}: {text!r:.80} is no text to ask for: give a str")
        keyspace = meta.keyspace(await layout())
        words = self._prints(meta.model_name).asked(text)
        sketch = self._sketch(meta.model_name)
        return await sketch.frequency(keyspace.prefix, keyspace.class_set, words, meta.model_name)


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ModelException(f"FrequencySketch: {name}={value!r:.80} must be an int from {least} to {most}")
    return value
