"""A text or bytes of any size, kept in a content store; the row holds a reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Self, overload

from popoto.configuration import configuration
from popoto.exceptions import BadReference, DamagedContent, MissingContent, ModelException
from popoto.fields.content_field import collecting
from popoto.fields.content_field.contents import (
    Digest,
    Draft,
    Stored,
    decoded,
    encoded,
    folder_name,
    reference_bytes,
)
from popoto.fields.field import Field
from popoto.fields.lookups import PLAIN, Lookup
from popoto.storage import layout, shared
from popoto.storage.drivers.aio import in_event_loop
from popoto.stores import AbstractContentStore, FilesystemStore

FILES: Final = FilesystemStore()


class ContentField(Field[Any]):
    """A `Field` whose value lies in a content store: the row holds a reference, and the body never goes to the server.

    The value in memory is the text. That of a loaded row is read at the first access; inside a running event loop that
    raises, and `await obj.async_fetch("name")` reads it in a thread.

    A save keeps the content first and writes the row after it, so that no row refers to what is not there. A content
    that no row refers to any more stays until `garbage_collect`.

    Args:
        store: a content store; "filesystem" for that of `popoto.configure(content_store=)`, else for files in the
            folder of `popoto.configure(content_path=)`.
        type: str or bytes.
        null: whether None may be stored.
        default: the value of a new instance, or a callable that makes it.
        max_length: the longest text, in characters; None for any.

    Raises:
        ModelException: for another store or type, or an option that a content cannot have.
    """

    types = (str, bytes)
    prepares = True
    elsewhere = True

    def __init__(
        self,
        store: AbstractContentStore | str = "filesystem",
        *,
        type: type = str,
        null: bool = True,
        default: Any = None,
        max_length: int | None = None,
        **options: Any,
    ) -> None:
        for name in ("indexed", "unique"):
            if options.pop(name, False):
                raise ModelException(
                    f"{self._title()}: a content cannot be {name}: keep what you look for in a field beside it"
                )
        if store != "filesystem" and not isinstance(store, AbstractContentStore):
            raise ModelException(f"{self._title()}: store={store!r} is no content store: give one of popoto.stores")
        super().__init__(type, null, default, max_length, **options)
        self._store = store if isinstance(store, AbstractContentStore) else None
        self.encode: Any = encoded
        self.decode = lambda raw: decoded(raw, type)
        self.code = "x"
        self.orderable = False

    @property
    def store(self) -> AbstractContentStore:
        """The content store in use now."""
        return self._store or configuration.content_store or FILES

    # -- attribute access

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: Any) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> Any: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...

    else:

        def __get__(self, instance, owner):
            """The value, read from the store at the first access."""
            if instance is None:
                return self
            value = instance._stored_value(self)
            if isinstance(value, Stored):
                self._check_loop(instance)
                value = self._loaded(instance, value)
            instance.__dict__[self.name] = value
            return value

    def _check_loop(self, instance: Any) -> None:
        if in_event_loop():
            raise ModelException(
                f"{type(instance).__name__}.{self.name} is not loaded, and reading it here would block the event loop: "
                f"write await obj.async_fetch({self.name!r}), or query with .prefetch({self.name!r})"
            )

    def _loaded(self, instance: Any, stored: Stored) -> Any:
        owner = f"{type(instance).__name__} {instance.pk!r}: {self.name}"
        try:
            content = self.store.load(stored.reference)
            return content if self.type is bytes else content.decode()
        except FileNotFoundError as error:
            raise MissingContent(
                f"{owner} refers to {stored.reference}, which {self.store!r} does not keep: "
                "restore it, or assign another and save"
            ) from error
        except (DamagedContent, BadReference) as error:
            raise type(error)(f"{owner}: {error}") from error
        except UnicodeDecodeError as error:
            raise ModelException(f"{owner} is no text: declare ContentField(type=bytes)") from error

    def bring(self, instances: Sequence[Any]) -> list[Any]:
        """Load values that lie elsewhere, as slow local work: of each instance the value, or the error."""
        return [self._brought(instance) for instance in instances]

    def _brought(self, instance: Any) -> Any:
        if self.name in instance.__dict__:
            return instance.__dict__[self.name]
        try:
            value = instance._stored_value(self)
            if isinstance(value, Stored):
                value = self._loaded(instance, value)
        except ModelException as error:
            return error
        instance.__dict__[self.name] = value
        return value

    # -- values

    def convert(self, value: Any) -> Any:
        if self.type is str and isinstance(value, bytes | bytearray | memoryview):
            raise ValueError("these are bytes, not a text: decode them, or declare ContentField(type=bytes)")
        return super().convert(value)

    def operand(self, value: Any) -> Any:
        return None if value is None else _digest(self.convert(value))

    def compared(self, instance: Any) -> Any:
        """The digest of the instance's value; nothing is loaded where the store tells it from the reference."""
        known = instance.__dict__
        value = known[self.name] if self.name in known else instance._stored_value(self)
        if isinstance(value, Stored):
            digest = self.store.sha256_of(value.reference)
            if digest is not None:
                return Digest(digest)
            self._check_loop(instance)
            (value,) = self.bring([instance])
            if isinstance(value, Exception):
                raise value
        return None if value is None else _digest(value)

    def plain(self, instance: Any) -> Any:
        return getattr(instance, self.name)

    def text_of(self, instance: Any) -> str:
        value = getattr(instance, self.name)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""

    def agrees(self, known: bytes | None, raw: Any) -> bool:
        if known is None or not isinstance(raw, Draft):
            return False
        stored = self.decode(known)
        return isinstance(stored, Stored) and self.store.sha256_of(stored.reference) == raw.sha256

    def make_lookups(self) -> dict[str, Lookup]:
        return dict(PLAIN)

    # -- saving

    async def preparing(self, model: Any, instance: Any, change: Any) -> None:
        """Keep a new content and put its reference in its place; renew one that the row is about to refer to again."""
        raw = change.values.get(self.name)
        known = None if instance is None else instance._raw.get(self.name)
        if isinstance(raw, Draft):
            here = await layout()
            folder = folder_name(here.namespace, model._meta.model_name)
            work: tuple[Any, ...] = ("keep", raw.content, change.key, folder)
        elif raw is not None and isinstance(stored := self.decode(raw), Stored):
            work = ("touch", instance, stored)
        elif change.former is not None and known is not None and isinstance(stored := self.decode(known), Stored):
            # A walk over all rows may miss one that is renamed meanwhile.
            work = ("renew", stored)
        elif change.mode == "reindex":
            work = ("rest",)
        elif change.mode == "update":
            return
        else:
            # Those that are saved together go on together.
            work = ("rest",)
        reference = await shared(self._done, work)
        if change.mode == "reindex" and any(one.said is not None for one in model._meta.companions):
            # Who indexes the text is told of it next.
            await shared(self._done, ("bring", instance))
        if not isinstance(raw, Draft):
            return
        if change.mode == "update" and known == reference:
            del change.values[self.name]
        else:
            change.values[self.name] = reference

    def _done(self, works: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [self._done_one(*work) for work in works]

    def _done_one(self, what: str, *about: Any) -> Any:
        try:
            if what == "keep":
                return reference_bytes(self.store.save(*about))
            if what == "touch":
                return self._touched(*about)
            if what == "renew":
                self._renewed(*about)
            if what == "bring":
                (value,) = self.bring(about)
                return value if isinstance(value, Exception) else None
        except Exception as error:
            return error
        return None

    def _touched(self, instance: Any, stored: Stored) -> None:
        try:
            self.store.touch(stored.reference)
        except FileNotFoundError as error:
            raise MissingContent(
                f"{type(instance).__name__}.{self.name} refers to {stored.reference}, which {self.store!r} keeps no "
                "more: assign the text anew"
            ) from error

    def _renewed(self, stored: Stored) -> None:
        try:
            self.store.touch(stored.reference)
        except (FileNotFoundError, ModelException):
            # A row whose content is lost can be renamed all the same.
            return

    # -- collecting

    @classmethod
    def garbage_collect(cls, model_class: Any, grace_seconds: float = 3600.0) -> int:
        """Remove the model's contents that no row refers to.

        Args:
            model_class: the model; of it all ContentFields are looked at, as they may share a store.
            grace_seconds: how long ago a content must have been saved last; longer than a save may wait in a pipeline.

        Returns:
            How many were removed.

        Raises:
            ModelException: the model has no ContentField, a store does not collect, or the grace is no such number.
        """
        return int(model_class._run(collecting.collect(model_class, _of(model_class), grace_seconds)))

    @classmethod
    async def async_garbage_collect(cls, model_class: Any, grace_seconds: float = 3600.0) -> int:
        """`garbage_collect` for asyncio."""
        return int(await model_class._arun(collecting.collect(model_class, _of(model_class), grace_seconds)))


def _of(model_class: Any) -> list[ContentField]:
    return [field for field in model_class._meta.field_list if isinstance(field, ContentField)]


def _digest(value: str | bytes) -> Digest:
    content = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return Digest(Draft(content).sha256)
