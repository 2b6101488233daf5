"""Models whose texts are contents, and what is stored of them in rows and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
from contents import digest

from popoto import ContentField, Field, IndexedField, KeyField, Model


class Doc(Model):
    name = KeyField()
    body = ContentField()
    note = Field()
    code = IndexedField()


class Blob(Model):
    name = KeyField()
    data = ContentField(type=bytes)


def reference(text: str, model: str = "Doc") -> str:
    """The reference of a text, as rows have it."""
    name = digest(text.encode())
    return f"$CF:{name}:{model}/{name[:2]}/{name}.txt"


def stored(plain: Any, key: str = "Doc:x", field: str = "body") -> Any:
    """What a row has in a field."""
    return msgpack.unpackb(plain.hget(key, field))


def kept(folder: Path) -> set[str]:
    """The texts in the files of a folder."""
    return {path.read_text() for path in folder.rglob("*.txt")}
