"""Where the bodies of contents are kept, apart from the server that keeps their references."""

from popoto.stores.abstract_store import AbstractContentStore
from popoto.stores.filesystem import FilesystemStore

__all__ = ["AbstractContentStore", "FilesystemStore"]
