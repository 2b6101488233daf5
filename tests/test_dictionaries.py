"""to_dict: fields by name, and related rows nested, each level in one round trip."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from popoto import Field, IntField, KeyField, Model, ModelException, Relationship, round_trips


class Land(Model):
    name = KeyField()
    size = IntField(default=1)


class Town(Model):
    name = KeyField()
    land = Relationship(model=Land)
    twin = Relationship(model="self")
    _secret = Field(default="s")


class Person(Model):
    name = KeyField()
    home = Relationship(model=Town)
    work = Relationship(model=Town)
    born = Relationship(model=Land)


def people() -> Person:
    land = Land.create(name="it")
    rome = Town.create(name="rome", land=land)
    oslo = Town.create(name="oslo", land=Land.create(name="no", size=3), twin=rome)
    rome.twin = oslo
    rome.save()
    return Person.create(name="ann", home=rome, work=oslo, born=land)


IT, NO = {"name": "it", "size": 1}, {"name": "no", "size": 3}


def ann() -> Any:
    return Person.load(name="ann")


def test_without_relationships_nothing_is_asked(store: Any):
    people()
    row = ann()
    with round_trips() as trips:
        found = row.to_dict(exclude=["work"])
    assert (found, trips) == ({"name": "ann", "home": "Town:rome", "born": "Land:it"}, 0)


def test_related_rows_are_nested_each_level_in_one_round_trip(store: Any):
    people()
    row = ann()
    with round_trips() as trips:
        found = row.to_dict(relationships=True)
    rome = {"name": "rome", "land": IT, "twin": {"name": "oslo", "land": NO, "twin": "Town:rome"}}
    oslo = {"name": "oslo", "land": NO, "twin": {"name": "rome", "land": IT, "twin": "Town:oslo"}}
    assert found == {"name": "ann", "home": rome, "work": oslo, "born": IT}
    # The rows that ann refers to; then the land of Oslo, which alone is not known yet.
    assert trips == 2
    with round_trips() as trips:
        assert row.to_dict(relationships=True) == found
        assert row.home.land.name == "it"
    assert trips == 0


@pytest.mark.parametrize(
    ("depth", "home", "trips"),
    [
        (0, "Town:rome", 0),
        (1, {"name": "rome", "land": "Land:it", "twin": "Town:oslo"}, 1),
        (2, {"name": "rome", "land": IT, "twin": {"name": "oslo", "land": "Land:no", "twin": "Town:rome"}}, 2),
    ],
)
def test_levels_are_limited(store: Any, depth: int, home: Any, trips: int):
    people()
    row = ann()
    with round_trips() as counted:
        found = row.to_dict(include=["home"], relationships=True, max_depth=depth)
    assert (found, counted) == ({"home": home}, trips)


def test_a_row_that_refers_to_itself_is_its_key(store: Any):
    town = Town.create(name="loop")
    town.twin = town
    town.save()
    found = Town.load(name="loop")
    assert found is not None
    with round_trips() as trips:
        assert found.to_dict(relationships=True)["twin"] == "Town:loop"
    assert trips == 0


def test_a_dangling_reference_stays_a_key(store: Any):
    Person.create(name="ann", home="Town:gone", born=Land.create(name="it"))
    with round_trips() as trips:
        found = ann().to_dict(relationships=True)
    assert found == {"name": "ann", "home": "Town:gone", "work": None, "born": IT}
    assert trips == 2
    assert Person.query.filter(home="Town:gone").all() == [ann()]


def test_unsaved_related_rows_are_nested_too(fake: Any):
    row = Person(name="bob", home=Town(name="new"))
    with round_trips() as trips:
        found = row.to_dict(relationships=True)
    assert (found["home"], trips) == ({"name": "new", "land": None, "twin": None}, 0)


def test_a_long_chain_takes_a_trip_a_level_and_no_stack(fake: Any):
    Town.bulk_create([Town(name=str(n), twin=f"Town:{n + 1}") for n in range(1500)])
    row = Town.load(name="0")
    assert row is not None
    found, depth = row.to_dict(relationships=True), 0
    while isinstance(found["twin"], dict):
        found, depth = found["twin"], depth + 1
    assert (depth, found["twin"]) == (1499, "Town:1500")


def test_inside_an_event_loop_the_twin_loads_and_the_blocking_form_refuses(store: Any):
    people()
    row, other = ann(), ann()

    async def work() -> Any:
        with pytest.raises(ModelException, match=r"Person.home is not loaded.*await obj.async_to_dict"):
            row.to_dict(relationships=True)
        with round_trips() as trips:
            found = await other.async_to_dict(relationships=True)
        assert trips == 2
        # What is loaded needs no query.
        assert other.to_dict(relationships=True) == found
        assert await row.async_to_dict(include=["name"]) == {"name": "ann"}
        return found

    assert asyncio.run(work()) == ann().to_dict(relationships=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"include": ["nmae"]}, "no field 'nmae'; did you mean 'name'"),
        ({"exclude": ["nope"]}, "no field 'nope'"),
        ({"relationships": True, "max_depth": -1}, "max_depth=-1 must be an int from 0, or None"),
        ({"max_depth": True}, "max_depth=True must be"),
    ],
)
def test_wrong_options_are_refused(fake: Any, options: dict[str, Any], message: str):
    with pytest.raises(ModelException, match=message):
        Person(name="x").to_dict(**options)
