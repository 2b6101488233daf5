"""What a content store is: the contract between ContentField and whoever keeps the bodies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from popoto.exceptions import ModelException


class AbstractContentStore(ABC):
    """Keeps contents apart from the server and names each by a short reference.

    A content never changes: the same reference gives the same bytes for ever, or an error. Everything may be called
    from several threads and processes at once.

    `save`, `load`, `delete` and `exists` make a store. `references`, `touch` and `discard` let what no row refers to
    be collected; a store without them keeps everything. `popoto_conformance.content_stores` proves a store.
    """

    @abstractmethod
    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        """Keep a content and return its reference, once it is safe.

        A content that is kept already has its moment renewed, as by `touch`.

        Args:
            content: the bytes.
            key: the key of the row it belongs to, any text; a store may use or ignore it.
            model_class_name: the name of the row's model; what `references` lists by.

        Returns:
            A text that begins with `$CF:` and that only this content has.
        """

    @abstractmethod
    def load(self, reference: str) -> bytes:
        """The content, exactly as it was saved.

        Raises:
            FileNotFoundError: it is not kept.
            BadReference: the reference is none of this store's.
            DamagedContent: what is kept is not what was saved.
        """

    @abstractmethod
    def delete(self, reference: str) -> None:
        """Remove the content, for every row that refers to it, and no other content.

        Raises:
            FileNotFoundError: it is not kept.
            BadReference: the reference is none of this store's.
        """

    @abstractmethod
    def exists(self, reference: str) -> bool:
        """Whether the content is kept; it need not be read for this.

        Raises:
            BadReference: the reference is none of this store's.
        """

    @property
    def collects(self) -> bool:
        """Whether this store can say what it keeps, so that what no row refers to can be collected."""
        return type(self).references is not AbstractContentStore.references

    def sha256_of(self, reference: str) -> str | None:
        """The SHA-256 of the content in hex, where the store can tell it from the reference alone; else None.

        Contents are compared by it without being read.
        """
        return None

    def references(self, model_class_name: str) -> Iterator[tuple[str, float]]:
        """Every content of a model: its reference, and the moment in Unix seconds from which its age counts.

        What is saved or deleted meanwhile may be there or not.

        Raises:
            ModelException: this store does not collect.
        """
        raise ModelException(
            f"{type(self).__name__} cannot list its contents, so none can be collected:"
            f" it lacks references(), touch() and discard()"
        )

    def touch(self, reference: str) -> None:  # noqa: B027 - nothing to renew is an answer
        """Renew the moment of a content that a row is about to refer to, so that it is not collected meanwhile.

        Does nothing in a store that does not collect.

        Raises:
            FileNotFoundError: the content is not kept, or no longer.
            BadReference: the reference is none of this store's.
        """

    def discard(self, reference: str, before: float) -> bool:
        """Remove the content if its moment is earlier than `before`, and tell whether that was done.

        It is one step: a `save` or `touch` of the content at the same time either comes first, and it stays,
        or comes after, and keeps it anew or raises.

        Args:
            reference: the content's.
            before: Unix seconds.

        Raises:
            BadReference: the reference is none of this store's.
            ModelException: this store does not collect.
        """
        raise ModelException(f"{type(self).__name__} does not collect: it lacks discard()")

    def sweep(self, model_class_name: str, before: float) -> int:
        """Clear away what interrupted work on a model's contents left behind earlier than `before`.

        Args:
            model_class_name: the name of the model.
            before: Unix seconds.

        Returns:
            How many leftovers there were; 0 in a store that leaves none.
        """
        return 0
