"""Defaults for the whole process, kept here and read when they are needed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Configuration:
    """What `configure` was given.

    Attributes:
        embedding_provider: the provider of fields that name none.
        content_store: the content store of fields that name none.
        content_path: the folder of the store on files, None where the environment decides.
    """

    embedding_provider: Any = None
    content_store: Any = None
    content_path: str | None = None

    @property
    def content_folder(self) -> Path:
        """Where contents are kept: `content_path`, else POPOTO_CONTENT_PATH, else `~/.popoto/content`."""
        chosen = self.content_path or os.environ.get("POPOTO_CONTENT_PATH") or "~/.popoto/content"
        return Path(chosen).expanduser()


configuration = Configuration()


def configure(
    embedding_provider: Any = None, content_store: Any = None, content_path: str | os.PathLike[str] | None = None
) -> None:
    """Set defaults for ContentField and EmbeddingField; what is None stays as it is.

    Args:
        embedding_provider: the default provider for EmbeddingField and `semantic_search()`.
        content_store: the default content store for ContentField.
        content_path: the folder for stores on files; overrides POPOTO_CONTENT_PATH.
    """
    if embedding_provider is not None:
        configuration.embedding_provider = embedding_provider
    if content_store is not None:
        configuration.content_store = content_store
    if content_path is not None:
        configuration.content_path = os.fspath(content_path)
