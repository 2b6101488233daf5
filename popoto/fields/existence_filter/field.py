"""A field that can tell, without reading a row, that nothing is stored about something."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from popoto.analysis import analyzer as chosen_analyzer
from popoto.analysis import bloom_shape
from popoto.exceptions import ModelException, QueryException
from popoto.fields.companions import Companion
from popoto.fields.existence_filter.index import Bloom
from popoto.fields.fingerprints import FingerprintFn, Fingerprints
from popoto.fields.valueless import ValuelessField
from popoto.storage.plans import layout


class ExistenceFilter(ValuelessField):
    """A Bloom filter of the words of every row's fingerprint. It holds no value of its own.

    It has m = capacity ln(1/error_rate) / ln(2)^2 bits and sets k = m/capacity ln 2 of them for a word; Bloom 1970,
    "Space/time trade-offs in hash coding with allowable errors". Once a word is in, it stays, also when its row goes;
    `rebuild_indexes` makes a fresh filter. Saves that retry or repeat change nothing.

    Args:
        error_rate: the part of absent words that may seem present once the filter holds `capacity` words, 0 to 1.
        capacity: how many distinct words it is to hold.
        fingerprint_fn: gives an instance's fingerprint, a text; the row's key unless given. A save that changes any
            value asks it anew.
        analyzer: `simple`, `english`, or a callable from a text to its words; its name is stored with the filter.

    Raises:
        ModelException: for an option out of its range.
    """

    offers = "existence"

    def __init__(
        self,
        error_rate: float = 0.01,
        capacity: int = 100_000,
        fingerprint_fn: FingerprintFn | None = None,
        analyzer: Any = "simple",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        bloom_shape(capacity, error_rate)
        if fingerprint_fn is not None and not callable(fingerprint_fn):
            raise ModelException(f"{self._title()}: fingerprint_fn={fingerprint_fn!r:.80} must be callable")
        self.error_rate = error_rate
        self.capacity = capacity
        self.fingerprint_fn = fingerprint_fn
        self.analyzer = chosen_analyzer(analyzer)

    def companions(self, model_name: str) -> Sequence[Companion]:
        return [self._bloom(model_name).companion(self.name, self._prints(model_name))]

    def _bloom(self, model_name: str) -> Bloom:
        return Bloom(f"$EF:{model_name}:{self.name}", self.analyzer, self.capacity, self.error_rate)

    def _prints(self, model_name: str) -> Fingerprints:
        return Fingerprints(f"{model_name}.{self.name}", model_name, self.analyzer, self.fingerprint_fn)

    # -- asking

    def might_exist(self, model_class: Any, fingerprint: str) -> bool:
        """Whether any word of the text may be known; False is certain.

        Raises:
            QueryException: when the filter cannot tell, as after a change of its options; the message names the remedy.
        """
        return bool(model_class._run(self._asking(model_class, [fingerprint]))[fingerprint])

    async def async_might_exist(self, model_class: Any, fingerprint: str) -> bool:
        """`might_exist` for asyncio."""
        return bool((await model_class._arun(self._asking(model_class, [fingerprint])))[fingerprint])

    def definitely_missing(self, model_class: Any, fingerprint: str) -> bool:
        """Whether no word of the text is known: then nothing needs to be looked up.

        Raises:
            QueryException: as `might_exist`.
        """
        return not self.might_exist(model_class, fingerprint)

    async def async_definitely_missing(self, model_class: Any, fingerprint: str) -> bool:
        """`definitely_missing` for asyncio."""
        return not await self.async_might_exist(model_class, fingerprint)

    def might_exist_batch(self, model_class: Any, fingerprints: Iterable[str]) -> dict[str, bool]:
        """`might_exist` of each text, in one round trip; {} for none.

        Raises:
            QueryException: as `might_exist`.
        """
        found: dict[str, bool] = model_class._run(self._asking(model_class, fingerprints))
        return found

    async def async_might_exist_batch(self, model_class: Any, fingerprints: Iterable[str]) -> dict[str, bool]:
        """`might_exist_batch` for asyncio."""
        found: dict[str, bool] = await model_class._arun(self._asking(model_class, fingerprints))
        return found

    def might_exist_count(self, model_class: Any, fingerprints: Iterable[str]) -> int:
        """How many of the texts, each counted once, might exist.

        Raises:
            QueryException: as `might_exist`.
        """
        return sum(self.might_exist_batch(model_class, fingerprints).values())

    async def async_might_exist_count(self, model_class: Any, fingerprints: Iterable[str]) -> int:
        """`might_exist_count` for asyncio."""
        return sum((await self.async_might_exist_batch(model_class, fingerprints)).values())

    def fill_ratio(self, model_class: Any) -> float:
        """The part of the filter's bits that are set, 0.0 to 1.0; beyond 0.5 it errs more often than it should."""
        return float(model_class._run(self._filling(model_class)))

    async def async_fill_ratio(self, model_class: Any) -> float:
        """`fill_ratio` for asyncio."""
        return float(await model_class._arun(self._filling(model_class)))

    async def _asking(self, model_class: Any, fingerprints: Iterable[str]) -> dict[str, bool]:
        meta = model_class._meta
        asked = [fingerprints] if isinstance(fingerprints, str) else list(dict.fromkeys(fingerprints))
        for text in asked:
            if not isinstance(text, str):
                raise QueryException(f"{meta.model_name}.{self.name}: {text!r:.80} is no text to ask for: give a str")
        prints = self._prints(meta.model_name)
        keyspace = meta.keyspace(await layout())
        words = [prints.asked(text) for text in asked]
        answers = await self._bloom(meta.model_name).known(keyspace.prefix, keyspace.class_set, words, meta.model_name)
        return dict(zip(asked, answers, strict=True))

    async def _filling(self, model_class: Any) -> float:
        meta = model_class._meta
        return await self._bloom(meta.model_name).fill_ratio(meta.keyspace(await layout()).prefix)
