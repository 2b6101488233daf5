"""Rows that refer to others."""

from __future__ import annotations

from popoto import IndexedField, KeyField, Model, Relationship
from trips.verb import Verb
from trips.wines import Wine, assert_hundred


class House(Model):
    name = KeyField()
    land = IndexedField()


class Cellar(Model):
    name = KeyField()
    house = Relationship(model=House)


class Bottle(Model):
    number = KeyField(type=int)
    wine = Relationship(model=Wine)
    cellar = Relationship(model=Cellar)


def cellars() -> None:
    cellar = Cellar.create(name="c", house=House.create(name="h", land="it"))
    Bottle.bulk_create([Bottle(number=number, wine=f"Wine:{number}", cellar=cellar) for number in range(5)])
    # Every script of theirs is known to the server.
    Bottle.query.prefetch("wine").all()


TABLE: dict[str, Verb] = {
    "filter through two relationships": Verb(
        lambda store: cellars(),
        lambda it: assert_hundred([*Bottle.query.filter(cellar__house__land="it").all(), *range(95)]),
        lambda it: Bottle.query.async_filter(cellar__house__land="it"),
        1,
    ),
    "load with prefetch": Verb(
        lambda store: cellars(),
        lambda it: [bottle.wine.name for bottle in Bottle.query.prefetch("wine", "cellar").all()],
        lambda it: Bottle.query.prefetch("wine", "cellar")._awaited(),
        1,
    ),
}
