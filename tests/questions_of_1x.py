"""What can be asked of the databases of 1.x, and which of their rows are meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from data_of_1x import ROWS

from popoto import Model

Question = tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]


def questions(model: type[Model]) -> Iterator[Question]:
    """Keywords of a filter, and which rows they mean."""
    for name, field in model._meta.fields.items():
        values = [row[name] for row in ROWS[model].values()]
        if field.index is not None and field.index.kind == "G":
            yield from _circles(name, values)
            continue
        parts = getattr(field, "partition_by", ())
        for row in ROWS[model].values():
            within = {part: row[part] for part in parts}

            def there(other: dict[str, Any], within: dict[str, Any] = within) -> bool:
                return all(other[part] == value for part, value in within.items())

            value = row[name]
            yield from _exact(model, name, value, within, there)
            if value is not None and name in model._meta.sorted_field_names:
                yield from _ranges(name, value, within, there)
        if not parts and field.index is not None and "in" in field.lookups:
            yield {f"{name}__in": values[:2]}, lambda row, name=name, some=values[:2]: row[name] in some
        if field.type is str and (field.key or field.indexed or field.unique) and field.code == "s" and not field.auto:
            yield from _texts(name, [value for value in values if value])


def _exact(model: type[Model], name: str, value: Any, within: dict[str, Any], there: Any) -> Iterator[Question]:
    if value is not None or not (within or name in model._meta.sorted_field_names):
        yield {**within, name: value}, lambda row: there(row) and row[name] == value


def _ranges(name: str, value: Any, within: dict[str, Any], there: Any) -> Iterator[Question]:
    tests: dict[str, Callable[[Any], bool]] = {
        "gte": lambda other: other >= value,
        "gt": lambda other: other > value,
        "lte": lambda other: other <= value,
        "lt": lambda other: other < value,
    }
    for lookup, test in tests.items():
        yield (
            {**within, f"{name}__{lookup}": value},
            lambda row, test=test: there(row) and row[name] is not None and test(row[name]),
        )
    yield {**within, f"{name}__between": (value, value)}, lambda row: there(row) and row[name] == value


def _texts(name: str, values: list[str]) -> Iterator[Question]:
    for value in values:
        for lookup, part, test in (
            ("startswith", value[:1], str.startswith),
            ("endswith", value[-1:], str.endswith),
            ("contains", value[:2], str.__contains__),
        ):
            yield (
                {f"{name}__{lookup}": part},
                lambda row, part=part, test=test: row[name] is not None and test(row[name], part),
            )
    yield {f"{name}__isnull": True}, lambda row: row[name] is None
    yield {f"{name}__isnull": False}, lambda row: row[name] is not None


def _circles(name: str, values: list[Any]) -> Iterator[Question]:
    for place in values:
        if place[0] is not None:
            yield {name: place, f"{name}_radius": 10}, lambda row, place=place: row[name] == place


def unindexed(plain: Any, model: type[Model], keywords: dict[str, Any]) -> set[str]:
    """Rows without an entry for what is asked, until they are rebuilt: the field is new, or a reference to nothing."""
    names = {word.partition("__")[0] for word in keywords} & model._meta.fields.keys()
    indexed = [model._meta.fields[name] for name in names if model._meta.fields[name].index is not None]
    return {
        pk
        for pk, row in ROWS[model].items()
        if any(not plain.hexists(pk, one.name) or (one.code == "r" and row[one.name] is None) for one in indexed)
    }
