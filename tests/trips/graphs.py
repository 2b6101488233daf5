"""A graph beside rows."""

from __future__ import annotations

from typing import Any

from popoto import CoOccurrenceField, KeyField, Model
from trips.verb import Verb


class Pairing(Model):
    name = KeyField()
    near: Any = CoOccurrenceField()


TABLE: dict[str, Verb] = {
    "link": Verb(
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.link(Pairing, "a", "b"),
        lambda it: Pairing.near.async_link(Pairing, "a", "b"),
        1,
    ),
    "strengthen": Verb(
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.strengthen(Pairing, "a", "b"),
        lambda it: Pairing.near.async_strengthen(Pairing, "a", "b"),
        1,
    ),
    "unlink": Verb(
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.unlink(Pairing, "a", "b"),
        lambda it: Pairing.near.async_unlink(Pairing, "a", "b"),
        1,
    ),
    "weaken_all": Verb(
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.weaken_all(Pairing, "a"),
        lambda it: Pairing.near.async_weaken_all(Pairing, "a"),
        1,
    ),
    "get_linked": Verb(
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.get_linked(Pairing, "a"),
        lambda it: Pairing.near.async_get_linked(Pairing, "a"),
        1,
    ),
    "propagate": Verb(
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.propagate(Pairing, ["a"]),
        lambda it: Pairing.near.async_propagate(Pairing, ["a"]),
        1,
    ),
}
