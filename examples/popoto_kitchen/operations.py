"""Looking after indexes: what strays is counted, and then taken out, while everything else goes on."""

from __future__ import annotations

import popoto
from popoto import Model
from popoto.redis_db import scan_keys
from popoto_kitchen.guests import Guest, Hold, Table
from popoto_kitchen.memory import Memory
from popoto_kitchen.menu import Dish, Supplier
from popoto_kitchen.orders import Evening, Order

MODELS: tuple[type[Model], ...] = (Supplier, Dish, Guest, Table, Hold, Evening, Order, Memory)
PARTS = ("class_set", "key_fields", "indexed_fields", "sorted_fields", "geo_fields", "companions")
# These rows are deleted behind popoto's back, as an eviction or a hand at a console would.
LOST = ("Supplier:Naschmarkt", "Dish:Trout", "Guest:Leo", "Table:1:garden", "Memory:dessert:Bob")


def lose_rows() -> int:
    """Delete the hashes of some rows, leave their index entries astray, and give how many. Never do this to your data.

    `scan_keys` gives keys as they are stored, with the connection's namespace.
    """
    keys = [key for lost in LOST for key in scan_keys(lost)]
    return sum(popoto.connection().native.delete(key) for key in keys)


def check() -> list[tuple[str, dict[str, int]]]:
    """Count the strays of every model, by the part of its indexes. Nothing is written."""
    found = []
    for model in MODELS:
        report = model.check_indexes()
        counts = {part: _sum(report[part]) for part in PARTS}
        found.append((model.__name__, {**counts, "total": report["total"]}))
    return found


def clean() -> int:
    """Take the strays of every model out, and give how many there were. Safe while others read and write."""
    return sum(model.clean_indexes() for model in MODELS)


def table(found: list[tuple[str, dict[str, int]]]) -> list[str]:
    """Give what `check` found as the lines of a table."""
    heads = [*PARTS, "total"]
    lines = ["  ".join(["model   ", *heads])]
    for name, counts in found:
        lines.append("  ".join([f"{name:<8}", *(f"{counts[head]:>{len(head)}}" for head in heads)]))
    return lines


def _sum(part: int | dict[str, int]) -> int:
    return part if isinstance(part, int) else sum(part.values())
