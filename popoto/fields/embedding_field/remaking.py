"""Making all vectors of a field anew, and taking over those of 1.x."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from popoto.configuration import configuration
from popoto.exceptions import EmbeddingError, ModelException
from popoto.fields.companions import Action
from popoto.fields.embedding_field.vectors import MOST_ROWS, Made, Vectors, note, text_digest
from popoto.fields.rows import loaded, prefix_of, row_keys
from popoto.storage import effect, together

if TYPE_CHECKING:
    from popoto.embeddings import AbstractEmbeddingProvider
    from popoto.fields.embedding_field.field import EmbeddingField

# Each try embeds what was saved during the one before.
_MOST_TRIES: Final = 100


class _Aside:
    """Vectors that are made anew and put aside."""

    def __init__(self, model: Any, field: EmbeddingField, batch_size: int, prefix: str) -> None:
        self.model = model
        self.field = field
        self.batch_size = batch_size
        self.prefix = prefix
        self.vectors: Vectors = field.vectors(model._meta.model_name)
        self.made: set[bytes] = set()
        self.dim = 0
        self.number = 0

    async def take(self, keys: Sequence[bytes]) -> None:
        """Embed the texts of some rows; those that are gone or have no text lose their vectors."""
        for start in range(0, len(keys), self.batch_size):
            some = await _embedded(self.model, self.field, keys[start : start + self.batch_size])
            self.number = await self.vectors.add(self.prefix, some, self.number)
            for key, one in some.items():
                self.made.discard(key)
                if one is not None:
                    self.made.add(key)
                    self.dim = one.dim

    async def changed(self, state: tuple[bytes, int]) -> tuple[list[bytes], tuple[bytes, int]]:
        """The rows whose vectors have changed since a state, and the state now."""
        keys: list[bytes] = []
        while True:
            page = await self.vectors.changes(self.prefix, state, whole=False)
            if page.epoch != state[0]:
                # What has gone in the former epoch is not told.
                keys += sorted(self.made)
            keys += [*page.keys, *page.gone]
            state = (page.epoch, page.upto)
            if page.upto >= page.newest:
                return list(dict.fromkeys(keys)), state


async def remake(model: Any, field: EmbeddingField, batch_size: int) -> int:
    """Embed all rows aside, then what changed meanwhile, and swap when nothing more has."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ModelException(f"batch_size={batch_size!r} must be a positive int")
    provider = field.needed_provider(model)
    if field.source is None:
        raise ModelException(f"{model.__name__}.{field.name} names no source, so nothing can be embedded")
    aside = _Aside(model, field, batch_size, await prefix_of(model))
    await aside.vectors.begin(aside.prefix)
    try:
        return await _filled(aside, provider)
    except Exception:
        await aside.vectors.begin(aside.prefix)
        raise


async def _filled(aside: _Aside, provider: AbstractEmbeddingProvider) -> int:
    seen = await aside.vectors.changes(aside.prefix, (b"", 0), whole=False)
    state = (seen.epoch, seen.newest)
    async for keys in row_keys(aside.model):
        await aside.take(keys)
    for _ in range(_MOST_TRIES):
        maker = (provider.name, provider.model, aside.dim)
        if await aside.vectors.swap(aside.prefix, state, maker, aside.number):
            await note(sorted(aside.made), aside.field.name, aside.field.encode(aside.dim))
            return len(aside.made)
        changed, state = await aside.changed(state)
        await aside.take(changed)
    raise ModelException(
        f"{aside.model.__name__}.{aside.field.name}: rows are saved too fast to be embedded anew: try again later"
    )


async def _embedded(model: Any, field: EmbeddingField, keys: Sequence[bytes]) -> dict[bytes, Made | None]:
    """The vectors of some rows' texts; None for one without."""
    texts = await _texts(model, field, keys)
    provider = field.needed_provider(model)
    made: dict[bytes, Made | None] = dict.fromkeys(keys)
    if texts:
        found = await effect(partial(field._embedded, list(texts.values())))
        for (key, text), vector in zip(texts.items(), found, strict=True):
            value = text_digest(provider, text) + vector
            made[key] = Made(provider.name, provider.model, len(vector) // 4, value)
    return made


async def _texts(model: Any, field: EmbeddingField, keys: Sequence[bytes]) -> dict[bytes, str]:
    """The texts of some rows, those that have any."""
    rows = await loaded(model, keys)
    source = model._meta.fields[field.source]
    texts = await effect(partial(field._texts, [(source, row) for row in rows.values()]))
    found: dict[bytes, str] = {}
    for key, text in zip(rows, texts, strict=True):
        if isinstance(text, Exception):
            raise text
        if text.strip():
            found[key] = text
    return found


# Of 1.x


async def imported(model: Any, field: EmbeddingField, folder: Any) -> int:
    """Take the vectors of 1.x's files for rows that have none."""
    provider = field.needed_provider(model)
    home = configuration.content_folder if folder is None else Path(folder).expanduser()
    files = await effect(partial(_files, home / ".embeddings" / model.__name__))
    prefix = await prefix_of(model)
    seen = await field.vectors(model._meta.model_name).changes(prefix, (b"", 0), whole=False)
    if seen.epoch and seen[4:7] != (provider.name, provider.model, provider.dimensions):
        raise field.mismatch(model, f"{seen.provider} {seen.model} of {seen.dim} dimensions")
    taken = 0
    for start in range(0, len(files), MOST_ROWS):
        some = {f"{prefix}{key}".encode(): path for key, path in files[start : start + MOST_ROWS]}
        rows = await loaded(model, list(some))
        texts = await _texts(model, field, list(rows)) if field.source is not None else dict.fromkeys(rows, "")
        read = partial(_read, [some[key] for key in texts], provider.dimensions)
        packed = field._matrix.packed(await effect(read))
        plans = []
        for (key, text), vector in zip(texts.items(), packed, strict=True):
            made = Made(provider.name, provider.model, len(vector) // 4, text_digest(provider, text) + vector)
            plans.append(rows[key]._acting([Action(field.name, "take", made.words)]))
        for (reply,) in await together(plans):
            taken += int(reply)
        await note(list(texts), field.name, field.encode(provider.dimensions))
    return taken


def _files(folder: Path) -> list[tuple[str, Path]]:
    """The record keys for which there is a file, by the index beside them, or by 1.x's older names: hex of the key."""
    index = folder / "_index.json"
    named: dict[str, str] = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    found: list[tuple[str, Path]] = []
    for path in sorted(folder.glob("*.npy")):
        key = named.get(path.name) or named.get(path.stem)
        if key is None:
            try:
                key = bytes.fromhex(path.stem).decode()
            except ValueError:
                # A digest that the index has lost: whose it is cannot be told.
                continue
        elif path.stem not in (sha256(key.encode()).hexdigest(), key.encode().hex()):
            continue
        found.append((key, path))
    return found


def _read(paths: Sequence[Path], dimensions: int) -> list[list[float]]:
    # Found by the field that asks.
    import numpy as np  # noqa: PLC0415

    vectors = []
    for path in paths:
        vector = np.load(path, allow_pickle=False)
        if vector.ndim != 1 or len(vector) != dimensions or not np.isfinite(vector).all():
            raise EmbeddingError(
                f"{path.name} holds an array of shape {vector.shape}, and the provider makes vectors of {dimensions} "
                "dimensions: use the provider that made it, or leave the file out"
            )
        vectors.append(vector.tolist())
    return vectors
