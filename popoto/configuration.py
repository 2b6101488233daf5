"""Defaults for the whole process, kept here and read when they are needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from popoto.embeddings import AbstractEmbeddingProvider
from popoto.exceptions import ModelException
from popoto.stores import AbstractContentStore
from popoto.stores.folder import choose, chosen, content_folder


@dataclass(slots=True)
class Configuration:
    """What `configure` was given.

    Attributes:
        embedding_provider: the provider of fields that name none.
        content_store: the content store of fields that name none.
    """

    embedding_provider: AbstractEmbeddingProvider | None = None
    content_store: AbstractContentStore | None = None

    @property
    def content_path(self) -> str | None:
        """The folder of contents on files, None where the environment decides; stores on files look it up too."""
        return chosen()

    @content_path.setter
    def content_path(self, path: str | None) -> None:
        choose(path)

    @property
    def content_folder(self) -> Path:
        """Where contents are kept: `content_path`, else POPOTO_CONTENT_PATH, else `~/.popoto/content`."""
        return content_folder()


configuration = Configuration()


def configure(
    embedding_provider: AbstractEmbeddingProvider | None = None,
    content_store: AbstractContentStore | None = None,
    content_path: str | os.PathLike[str] | None = None,
) -> None:
    """Set defaults for ContentField and EmbeddingField; what is None stays as it is.

    Args:
        embedding_provider: the default provider for EmbeddingField and `semantic_search()`.
        content_store: the default content store for ContentField.
        content_path: the folder for stores on files; overrides POPOTO_CONTENT_PATH.

    Raises:
        ModelException: one of them is of another kind; nothing was set.
    """
    _check("embedding_provider", embedding_provider, AbstractEmbeddingProvider, "a provider of popoto.embeddings")
    _check("content_store", content_store, AbstractContentStore, "a store of popoto.stores")
    _check("content_path", content_path, (str, os.PathLike), "a folder's path")
    if embedding_provider is not None:
        configuration.embedding_provider = embedding_provider
    if content_store is not None:
        configuration.content_store = content_store
    if content_path is not None:
        configuration.content_path = os.fspath(content_path)


def _check(name: str, value: object, kind: type | tuple[type, ...], wanted: str) -> None:
    if value is None or isinstance(value, kind):
        return
    if isinstance(value, type) and isinstance(kind, type) and issubclass(value, kind):
        raise ModelException(f"configure({name}={value.__name__}) names a class: give an instance, {value.__name__}()")
    raise ModelException(f"configure({name}={value!r}) is a {type(value).__name__}: give {wanted}")
