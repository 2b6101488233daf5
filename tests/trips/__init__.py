"""What each verb costs in round trips: one table, in parts by theme, each with its models and what it makes ready."""

from __future__ import annotations

from trips import contents, graphs, memories, querying, recipes, relationships, saving, wines, words

_PARTS = (saving, querying, relationships, contents, graphs, words, memories, recipes)
EVERY = {verb: row for part in _PARTS for verb, row in part.TABLE.items()}


def stock(verb: str = "") -> None:
    """What the verb finds stored: a hundred wines or twenty memories; recipes make theirs ready themselves."""
    if verb in memories.TABLE:
        memories.stock()
    elif verb not in recipes.TABLE:
        wines.stock()
