"""The entry that stands for one that could not be handled. Values only; nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PREFIX: Final = "dead"
# A stack of nested exceptions must not fill the stream.
MOST_LETTERS: Final = 500


def dead_letter(
    stream: str, entry: bytes, fields: Mapping[bytes, bytes], *, deliveries: int, error: str, now: float
) -> dict[bytes, bytes]:
    """The fields of the dead letter: those of the entry, then what happened to it."""
    return {
        **fields,
        b"original_stream": stream.encode(),
        b"original_id": entry,
        b"failure_count": b"%d" % deliveries,
        b"last_error": error[:MOST_LETTERS].encode("utf-8", "replace"),
        b"dead_letter_ts": repr(now).encode(),
    }


class Failures:
    """The last error of each entry that this process failed on, for so many entries."""

    def __init__(self, most: int = 1_000) -> None:
        self._most = most
        self._errors: dict[bytes, str] = {}

    def note(self, entries: list[bytes], error: BaseException) -> None:
        """Remember why these entries failed."""
        said = f"{type(error).__name__}: {error}"
        for entry in entries:
            self._errors.pop(entry, None)
            self._errors[entry] = said
        for oldest in list(self._errors)[: max(0, len(self._errors) - self._most)]:
            del self._errors[oldest]

    def of(self, entry: bytes) -> str:
        """Why an entry failed, as far as this process knows."""
        return self._errors.get(entry, "unknown: it failed in another process")

    def forget(self, entries: list[bytes]) -> None:
        """Forget entries that are settled."""
        for entry in entries:
            self._errors.pop(entry, None)
