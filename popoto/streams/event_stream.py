"""A model's changes as entries of a stream, written in the very step that saves or deletes the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from popoto import clock
from popoto.exceptions import ModelException
from popoto.keys import text
from popoto.models.extras import Extra
from popoto.storage.commands.streams import xadd

if TYPE_CHECKING:
    from popoto.models.options import Options

PREFIX: Final = "stream"


class EventStreamMixin:
    """Appends an entry to `stream:<name>` with each save, increment and delete; put it before Model in the bases.

    An entry has the text fields `model`, `pk` (the row's key), `op` (create, update or delete, as the server saw it),
    `ts` (Unix seconds), `changed_fields` (the `update_fields` of the save, joined by commas, or the field that was
    added to) and the metadata fields.
    It is part of the atomic step: the row and its entry are written together or not at all, in one round trip.

    Attributes:
        _stream_name: the stream's name; models may share one.
        _stream_partition_field: a field whose value is added to the stream's key, unless it is None.
        _stream_max_length: about how many entries are kept; None for all.
        _stream_metadata_fields: fields whose values are copied into the entry.
    """

    _stream_name: ClassVar[str] = "mutations"
    _stream_partition_field: ClassVar[str | None] = None
    _stream_max_length: ClassVar[int | None] = 10_000
    _stream_metadata_fields: ClassVar[Sequence[str]] = ()

    if TYPE_CHECKING:
        _meta: ClassVar[Options]

    def stream_key(self) -> str:
        """The key of the stream that this instance's entries go to, as StreamConsumer takes it.

        Raises:
            ModelException: when the stream has no name, or the partition field is no field.
        """
        if not isinstance(self._stream_name, str) or not self._stream_name:
            raise ModelException(
                f"{self._meta.model_name}._stream_name = {self._stream_name!r}: give the stream a name"
            )
        key = f"{PREFIX}:{self._stream_name}"
        if self._stream_partition_field is None:
            return key
        value = self._value(self._stream_partition_field)
        return key if value is None else f"{key}:{text(value)}"

    def _value(self, name: str) -> Any:
        if name not in self._meta.fields:
            raise ModelException(f"{self._meta.model_name} has no field {name!r} for its stream{self._meta.near(name)}")
        field = self._meta.fields[name]
        # What lies elsewhere does not travel with an event either: its digest does.
        return field.compared(self) if field.elsewhere else getattr(self, name)

    def _extra_commands(self, key: str, prefix: str, names: Sequence[str]) -> Sequence[Extra]:
        inherited: Sequence[Extra] = super()._extra_commands(key, prefix, names)  # type: ignore[misc]
        return (*inherited, self._event(key, prefix, names))

    def _increment_commands(self, key: str, prefix: str, name: str, total: Any) -> Sequence[Extra]:
        inherited: Sequence[Extra] = super()._increment_commands(key, prefix, name, total)  # type: ignore[misc]
        return (*inherited, self._event(key, prefix, (name,), {name: total}))

    def _event(
        self, key: str, prefix: str, names: Sequence[str], sums: Mapping[str, Any] = MappingProxyType({})
    ) -> Extra:
        """The command that appends an entry; a sum that is None is filled in where it is made."""
        entry: dict[str, str | bytes] = {
            "model": self._meta.model_name,
            "pk": key.encode("utf-8", "surrogateescape"),
            "op": "",
            "ts": repr(clock.now()),
            "changed_fields": ",".join(names),
        }
        for name in self._stream_metadata_fields:
            value = sums[name] if name in sums else self._value(name)
            entry[name] = value if isinstance(value, bytes) else "" if value is None else text(value)
        command = xadd(prefix + self.stream_key(), entry, most=self._stream_max_length)
        values_at = {name: len(command.argv) - 2 * (len(entry) - place) + 2 for place, name in enumerate(entry)}
        unknown = [name for name, total in sums.items() if total is None and name in entry]
        return Extra(command, values_at["op"], values_at[unknown[0]] if unknown else 0)
