"""Rows as dictionaries, their related rows nested in them: each level is loaded in one batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from popoto.exceptions import ModelException
from popoto.models.reading import brought, by_keys
from popoto.storage import Op, together
from popoto.storage.drivers.aio import in_event_loop

if TYPE_CHECKING:
    from popoto.models.model import Model
    from popoto.models.options import Options


class AsDictionary:
    """What `Model` inherits for its form as a dictionary."""

    if TYPE_CHECKING:
        _meta: ClassVar[Options]

        @classmethod
        def _run(cls, plan: Op[Any], pipeline: Any = None) -> Any: ...
        @classmethod
        async def _arun(cls, plan: Op[Any], pipeline: Any = None) -> Any: ...

    def to_dict(
        self,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        relationships: bool = False,
        max_depth: int | None = None,
    ) -> dict[str, Any]:
        """The public fields' values by name.

        Args:
            include: only these fields.
            exclude: not these.
            relationships: related rows as dictionaries of all their fields, not as keys. What is not loaded yet is
                loaded, each level in one round trip. A row that is met again on the way to itself is its key, and so
                is one that is not stored.
            max_depth: how many levels are nested; None for all.

        Raises:
            ModelException: when a name is no field, or related rows would have to be loaded inside a running event
                loop: await `async_to_dict`.
        """
        names = _chosen(self._meta, include, exclude, max_depth)
        if not relationships:
            return _flat(self, names)
        return self._run(nested(self, names, max_depth, loads=not in_event_loop()))  # type: ignore[no-any-return, arg-type]

    async def async_to_dict(
        self,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        relationships: bool = False,
        max_depth: int | None = None,
    ) -> dict[str, Any]:
        """`to_dict` for asyncio."""
        names = _chosen(self._meta, include, exclude, max_depth)
        if not relationships:
            if any(self._meta.fields[name].elsewhere for name in names):
                await self._arun(brought([self], names))
            return _flat(self, names)
        return await self._arun(nested(self, names, max_depth, loads=True))  # type: ignore[no-any-return, arg-type]


def _chosen(meta: Options, include: Iterable[str] | None, exclude: Iterable[str], max_depth: int | None) -> list[str]:
    if isinstance(max_depth, bool) or not isinstance(max_depth, int | None) or (max_depth or 0) < 0:
        raise ModelException(f"{meta.model_name}.to_dict: max_depth={max_depth!r} must be an int from 0, or None")
    chosen, unwanted = list(meta.explicit_fields if include is None else include), set(exclude)
    for name in (*chosen, *unwanted):
        if name not in meta.fields:
            raise ModelException(f"{meta.model_name} has no field {name!r}{meta.near(name)}")
    return [name for name in chosen if name not in unwanted]


def _flat(instance: Any, names: Iterable[str]) -> dict[str, Any]:
    fields = instance._meta.fields
    return {name: fields[name].plain(instance) for name in names}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a related row belongs: under a field's name in the dictionary of the row that refers to it.

    Attributes:
        owner: that row.
        into: its dictionary.
        name: the relationship.
        path: the keys of the rows on the way, the owner's the last.
    """

    owner: Any
    into: dict[str, Any]
    name: str
    path: frozenset[str]


async def nested(instance: Model, names: list[str], max_depth: int | None, *, loads: bool) -> dict[str, Any]:
    """An instance as a dictionary with its related rows in it, level by level."""
    if loads:
        await brought([instance], names)
    whole = _flat(instance, names)
    places = _places(instance, whole, frozenset([instance.pk]))
    known: dict[tuple[type[Model], str], Any] = {}
    depth = 0
    while places and (max_depth is None or depth < max_depth):
        await _load(places, known, loads=loads)
        below: list[_Place] = []
        for place in places:
            field = place.owner._meta.fields[place.name]
            related = field.stored(place.owner)
            if not isinstance(related, str) and related.pk not in place.path:
                if loads:
                    await brought([related], related._meta.explicit_fields)
                place.into[place.name] = inner = _flat(related, related._meta.explicit_fields)
                below += _places(related, inner, place.path | {related.pk})
        places, depth = below, depth + 1
    return whole


def _places(row: Any, into: dict[str, Any], path: frozenset[str]) -> list[_Place]:
    return [
        _Place(row, into, name, path)
        for name, key in into.items()
        if name in row._meta.relationship_field_names and key is not None and key not in path
    ]


async def _load(places: list[_Place], known: dict[tuple[type[Model], str], Any], *, loads: bool) -> None:
    """Load the related rows of one level that are known by their keys alone, and note them on their owners."""
    wanted: dict[type[Model], dict[str, None]] = {}
    dangling: list[tuple[Any, str, type[Model], str]] = []
    for place in places:
        field = place.owner._meta.fields[place.name]
        key = field.stored(place.owner)
        if isinstance(key, str):
            dangling.append((place.owner, place.name, field.model, key))
            if (field.model, key) not in known:
                wanted.setdefault(field.model, {})[key] = None
    if wanted and not loads:
        owner, name, *_ = dangling[0]
        raise ModelException(
            f"{type(owner).__name__}.{name} is not loaded, and loading it here would block the event loop: "
            "write await obj.async_to_dict(relationships=True)"
        )
    found = await together([by_keys(model, keys, skip_none=False) for model, keys in wanted.items()])
    for (model, keys), rows in zip(wanted.items(), found, strict=True):
        known.update(zip([(model, key) for key in keys], rows, strict=True))
    for owner, name, model, key in dangling:
        related = known[model, key]
        if related is not None:
            owner.__dict__[name] = related
