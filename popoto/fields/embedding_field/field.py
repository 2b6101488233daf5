"""The declaration of a field that keeps a vector of another field's text."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from popoto.configuration import configuration
from popoto.embeddings import AbstractEmbeddingProvider
from popoto.exceptions import EmbeddingError, ModelException, QueryException
from popoto.fields.companions import Companion
from popoto.fields.embedding_field import remaking
from popoto.fields.embedding_field.vectors import DIGEST_BYTES, FRAGMENT, Made, Vectors, text_digest
from popoto.fields.field import Field
from popoto.fields.rows import prefix_of
from popoto.keys import field_tag
from popoto.storage import Connection, connection, shared
from popoto.storage.plans import Op

if TYPE_CHECKING:
    from popoto.fields.embedding_field.matrix import Matrix

_NONE: Final = b"\xc0"
logger = logging.getLogger("popoto.fields")


class EmbeddingField(Field[int]):
    """A vector of another field's text, made when the row is saved, for `Query.semantic_search`.

    The vector lies on the server as float32 of length 1, beside the row, with who made it. The field's own value is how
    many numbers it has, None without one.

    Args:
        source: the name of the field whose text is embedded; without one only vectors of 1.x can be taken.
        provider: the embedding provider; None for that of `popoto.configure`, looked up at each use.
        auto_embed: whether a save makes the vector; else `reembed` does.
        cache: whether the process keeps the vectors it has read; else each search reads all of them.

    Raises:
        ImportError: when numpy is missing (`pip install 'popoto[embeddings]'`).
        ModelException: for an option that is not one, or no provider.
    """

    types = (int,)
    prepares = True
    offers = "meaning"

    def __init__(
        self,
        source: str | None = None,
        provider: AbstractEmbeddingProvider | None = None,
        auto_embed: bool = True,
        cache: bool = True,
        **options: Any,
    ) -> None:
        try:
            # Heavy, and an extra.
            from popoto.fields.embedding_field import matrix  # noqa: PLC0415
        except ImportError as error:
            raise ImportError(
                f"{self._title()} needs numpy: pip install 'popoto[embeddings]'", name=error.name
            ) from error
        for name in options:
            raise ModelException(
                f"{self._title()} has no option {name!r}; there are source, provider, auto_embed and cache"
            )
        if provider is not None and not isinstance(provider, AbstractEmbeddingProvider):
            raise ModelException(
                f"{self._title()}: provider={provider!r} is none of popoto.embeddings: give an instance"
            )
        if source is not None and not isinstance(source, str):
            raise ModelException(f"{self._title()}: source={source!r} must be the name of a field")
        super().__init__(int, True, None, None)
        self.source = source
        self._provider = provider
        self.auto_embed = auto_embed
        self.cache = cache
        self._matrix = matrix
        self._warned = False

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        # Python 3.11 wraps what is raised here: the class that is being made asks for companions next.
        source = None if self.source is None else getattr(owner, self.source, None)
        usable = isinstance(source, Field) and source is not self and not source.apart
        self._has_source = self.source is None or usable

    @property
    def provider(self) -> AbstractEmbeddingProvider | None:
        """The provider in use now."""
        return self._provider or configuration.embedding_provider

    def needed_provider(self, model: Any) -> AbstractEmbeddingProvider:
        """The provider in use now.

        Raises:
            EmbeddingError: there is none.
        """
        if self.provider is None:
            raise EmbeddingError(
                f"{model.__name__}.{self.name} has no embedding provider: call popoto.configure(embedding_provider=),"
                " or give the field one"
            )
        return self.provider

    def convert(self, value: Any) -> Any:
        raise ValueError("the vector is made of the text of another field: leave it out")

    # -- beside the rows

    def vectors(self, model_name: str) -> Vectors:
        """Where the field's vectors lie in a model."""
        return Vectors(f"{field_tag('EmbeddingField')}:{model_name}:{self.name}")

    def companions(self, model_name: str) -> Sequence[Companion]:
        if not self._has_source:
            raise ModelException(
                f"{model_name}.{self.name}: source={self.source!r} is no other field of the model, or a capped list, "
                "whose pushes are not embedded"
            )
        follows = (self.name,) if self.source is None else (self.source, self.name)
        stores = self.vectors(model_name).stores
        return [Companion(FRAGMENT, self.name, stores, follows=follows, said=self._said, refuses=self._refused)]

    def _said(self, instance: Any, change: Any) -> Sequence[Any] | None:
        made = change.prepared.get(self.name, _NONE)
        if made is _NONE:
            return None
        return ("",) if made is None else made.words

    def _refused(self, instance: Any, text: str) -> Exception | None:
        name, _, maker = text.partition(" ")
        return self.mismatch(type(instance), maker) if name == self.name else None

    def mismatch(self, model: Any, maker: str) -> EmbeddingError:
        """The error for vectors that another has made."""
        provider = self.provider
        here = "" if provider is None else f", and the provider here is {provider.name} {provider.model}"
        return EmbeddingError(
            f"{model.__name__}.{self.name}: the stored vectors were made by {maker}{here}: vectors of two makers "
            "cannot be compared; use that one, or make all anew with "
            f"EmbeddingField.reembed({model.__name__}, {self.name!r})"
        )

    # -- saving

    async def preparing(self, model: Any, instance: Any, change: Any) -> None:
        """Make the vector of a text that is new to the row, before anything is written."""
        source = None if instance is None or not self.auto_embed else model._meta.fields.get(self.source)
        if source is None or (change.mode == "update" and self.source not in change.values):
            return
        if source.name in instance.__dict__ or not source.elsewhere:
            text = source.text_of(instance)
        else:
            text = await shared(self._texts, (source, instance))
        if change.mode == "reindex":
            # What another writer changes meanwhile, that one embeds.
            change.expected[source.name] = instance._raw.get(source.name)
        provider = self.provider
        made: Made | None = None
        if text.strip() and provider is not None:
            made = await self._made(model, change, provider, text)
            if made is None:
                return
        elif text.strip():
            if change.mode == "reindex":
                return
            self._warn(model)
        self._prepared(instance, change, made)

    async def _made(self, model: Any, change: Any, provider: AbstractEmbeddingProvider, text: str) -> Made | None:
        """The vector of a text; None where a row that is indexed anew has it."""
        digest = text_digest(provider, text)
        if change.mode != "update":
            prefix = await prefix_of(model)
            key = f"{prefix}{change.former or change.key}".encode("utf-8", "surrogateescape")
            (known,) = await self.vectors(model._meta.model_name).stored(prefix, [key])
            if known is not None and known[:DIGEST_BYTES] == digest:
                if change.mode == "reindex":
                    return None
                return Made(provider.name, provider.model, (len(known) - DIGEST_BYTES) // 4, known)
        vector = await shared(self._embedded, text)
        return Made(provider.name, provider.model, len(vector) // 4, digest + vector)

    def _prepared(self, instance: Any, change: Any, made: Made | None) -> None:
        dim = None if made is None else made.dim
        change.prepared[self.name] = made
        raw = self.encode(dim)
        if change.mode in ("replace", "insert") or instance._raw.get(self.name) != raw:
            change.values[self.name] = raw
        instance.__dict__[self.name] = dim

    def _warn(self, model: Any) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("%s.%s: no embedding provider, so new texts get no vector", model.__name__, self.name)

    @staticmethod
    def _texts(items: Sequence[tuple[Field[Any], Any]]) -> list[str | Exception]:
        texts: list[str | Exception] = []
        for source, instance in items:
            try:
                texts.append(source.text_of(instance))
            except ModelException as error:
                texts.append(error)
        return texts

    def _embedded(self, texts: Sequence[str]) -> list[bytes]:
        """The vector of each text, in as few calls as the provider's limits allow; an equal text is embedded once."""
        if self.provider is None:
            raise EmbeddingError(f"{self._title()} has lost its embedding provider: configure one, and save again")
        different = list(dict.fromkeys(texts))
        vectors = self._matrix.packed(self.provider.embed_all(different, input_type="document"))
        made = dict(zip(different, vectors, strict=True))
        return [made[text] for text in texts]

    # -- searching

    async def current(self, model: Any) -> Matrix:
        """The field's vectors, up to date as of this step: what changed since the last is read, in bounded pages.

        Raises:
            EmbeddingError: a stored vector is damaged.
        """
        vectors, prefix = self.vectors(model._meta.model_name), await prefix_of(model)
        here: Connection = connection(model._meta.connection)
        matrix = self._matrix.kept(here, prefix + vectors.base) if self.cache else self._matrix.Matrix()
        while True:
            state = matrix.state
            page = await vectors.changes(prefix, state)
            try:
                if matrix.take(state, page):
                    return matrix
            except ValueError as error:
                raise EmbeddingError(
                    f"{model.__name__}.{self.name}: {error}: run "
                    f"EmbeddingField.reembed({model.__name__}, {self.name!r})"
                ) from error

    def check_maker(self, model: Any, matrix: Matrix, dim: int) -> None:
        """Refuse to compare with vectors that another has made.

        Raises:
            EmbeddingError: naming the remedy.
        """
        provider = self.needed_provider(model)
        if len(matrix) and (matrix.maker != (provider.name, provider.model) or matrix.dim != dim):
            raise self.mismatch(model, f"{' '.join(matrix.maker)} of {matrix.dim} dimensions")

    def asked(self, text: str) -> Any:
        """The vector of a text that is searched for, of length 1; slow local work."""
        provider = self.provider
        if provider is None:
            raise EmbeddingError(f"{self._title()} has no embedding provider: call popoto.configure")
        return self._matrix.normalised(provider.embed_all([text], input_type="query"))[0]

    def wish(self, vector: Any, **options: Any) -> Any:
        """What a search asks the matrix for."""
        return self._matrix.Wish(vector, **options)

    # -- all at once

    @classmethod
    def load_embeddings(cls, model_class: Any, field_name: str | None = None) -> tuple[Any, list[str]]:
        """All vectors of a model's field: a float32 matrix with rows of length 1, and the key of each row.

        Args:
            field_name: the field; the first EmbeddingField of the model when it is not given.

        Returns:
            A matrix of one's own and the keys; `(None, [])` when there are no vectors.

        Raises:
            QueryException: when there is no such field.
        """
        found: tuple[Any, list[str]] = model_class._run(_whole(model_class, field_of(model_class, field_name)))
        return found

    @classmethod
    async def async_load_embeddings(cls, model_class: Any, field_name: str | None = None) -> tuple[Any, list[str]]:
        """`load_embeddings` for asyncio."""
        found: tuple[Any, list[str]] = await model_class._arun(_whole(model_class, field_of(model_class, field_name)))
        return found

    @classmethod
    def reembed(cls, model_class: Any, field_name: str | None = None, batch_size: int = 100) -> int:
        """Make the vectors of all rows anew with the present provider, and put them in the place of the old at once.

        Until then searches with the former provider go on. What is saved meanwhile is embedded again. The step after
        another provider or model was chosen.

        Args:
            field_name: the field; the first EmbeddingField of the model when it is not given.
            batch_size: how many rows are read and embedded together.

        Returns:
            How many vectors there are.

        Raises:
            QueryException: when there is no such field.
            EmbeddingError: there is no provider, or it failed: everything is as it was.
            ModelException: the field has no source, or rows are saved too fast to follow.
        """
        return int(model_class._run(_remade(model_class, field_name, batch_size)))

    @classmethod
    async def async_reembed(cls, model_class: Any, field_name: str | None = None, batch_size: int = 100) -> int:
        """`reembed` for asyncio."""
        return int(await model_class._arun(_remade(model_class, field_name, batch_size)))

    @classmethod
    def import_1x(cls, model_class: Any, folder: Any = None, field_name: str | None = None) -> int:
        """Take the vectors that popoto 1.x kept in `.npy` files, for rows that have none; texts are not embedded.

        They are taken for vectors of the present provider and of the rows' present texts. Nothing is unpickled, and the
        files stay.

        Args:
            folder: the content folder of 1.x; None for that of `popoto.configure`.
            field_name: the field; the first EmbeddingField of the model when it is not given.

        Returns:
            How many were taken.

        Raises:
            QueryException: when there is no such field.
            EmbeddingError: there is no provider, the server has vectors of another, or the files have other dimensions.
        """
        return int(model_class._run(_imported(model_class, folder, field_name)))

    @classmethod
    async def async_import_1x(cls, model_class: Any, folder: Any = None, field_name: str | None = None) -> int:
        """`import_1x` for asyncio."""
        return int(await model_class._arun(_imported(model_class, folder, field_name)))

    @classmethod
    def garbage_collect(cls, model_class: Any) -> int:
        """Remove what no row has, as `Model.clean_indexes` does, and return how many vectors that were."""
        lost = _count(model_class, model_class.check_indexes())
        model_class.clean_indexes()
        return lost

    @classmethod
    async def async_garbage_collect(cls, model_class: Any) -> int:
        """`garbage_collect` for asyncio."""
        lost = _count(model_class, await model_class.async_check_indexes())
        await model_class.async_clean_indexes()
        return lost


def fields_of(model_class: Any) -> list[EmbeddingField]:
    """The EmbeddingFields of a model, in their order."""
    return [field for field in model_class._meta.field_list if isinstance(field, EmbeddingField)]


def field_of(model_class: Any, name: str | None = None) -> EmbeddingField:
    """An EmbeddingField of a model, the first when none is named.

    Raises:
        QueryException: when there is none.
    """
    found = fields_of(model_class)
    for field in found:
        if name is None or field.name == name:
            return field
    if name is None or not found:
        raise QueryException(f"{model_class.__name__} has no EmbeddingField: declare one, with source= a text field")
    raise QueryException(
        f"{model_class.__name__}.{name} is no EmbeddingField; there are {', '.join(field.name for field in found)}"
    )


def invalidate_cache(name: str | None = None) -> None:
    """Drop what this process has read of a model's vectors, by the model's name, or of all; it is read anew.

    Nothing needs this: a search sees what other processes have saved.
    """
    from popoto.fields.embedding_field.matrix import forget  # noqa: PLC0415 - numpy is heavy, and an extra

    forget(name)


def _remade(model_class: Any, name: str | None, batch_size: int) -> Op[int]:
    return remaking.remake(model_class, field_of(model_class, name), batch_size)


def _imported(model_class: Any, folder: Any, name: str | None) -> Op[int]:
    return remaking.imported(model_class, field_of(model_class, name), folder)


async def _whole(model_class: Any, field: EmbeddingField) -> tuple[Any, list[str]]:
    matrix, keys = (await field.current(model_class)).whole()
    strip = len((await prefix_of(model_class)).encode())
    texts = [key[strip:].decode("utf-8", "surrogateescape") for key in keys]
    return (matrix, texts) if texts else (None, [])


def _count(model_class: Any, report: dict[str, Any]) -> int:
    return sum(report["companions"][field.name] for field in fields_of(model_class))
