"""GeoField: places are kept as 1.x kept them, found by radius, and indexed together with their rows."""

from __future__ import annotations

import asyncio
import math
import random
from typing import Any

import msgpack
import pytest

from popoto import Field, GeoField, IndexedField, KeyField, Model, ModelException, Q, QueryException, round_trips

NEW_YORK, NEAR, LONDON = (40.7128, -74.0060), (40.72, -74.0), (51.5, -0.12)
INDEX = b"$GeoF:Stop:at"


class Stop(Model):
    name = KeyField()
    at = GeoField()
    kind = IndexedField(default="bus")


def tagged(latitude: float | None, longitude: float | None) -> bytes:
    """A place as 1.x writes it."""
    return msgpack.packb({"__tuple__": True, "as_encodable": [latitude, longitude]})


def places(plain: Any) -> list[bytes]:
    return sorted(plain.zrange(INDEX, 0, -1))


def stored(plain: Any) -> dict[bytes, Any]:
    """Every key with its content; of the index its members: how a place becomes a score is the server's affair."""
    found = {key: plain.hgetall(key) if plain.type(key) == b"hash" else None for key in plain.scan_iter(count=1000)}
    return (
        found | {key: set(plain.smembers(key)) for key in found if plain.type(key) == b"set"} | ({INDEX: places(plain)})
    )


def stops() -> None:
    for name, at in {"ny": NEW_YORK, "near": NEAR, "london": LONDON, "none": None}.items():
        Stop.create(name=name, at=at)


def names(**keywords: Any) -> list[str]:
    return [row.name for row in Stop.query.filter(**keywords)]


def test_a_place_is_stored_and_indexed_as_1x_did(store: Any, plain: Any):
    Stop.create(name="a", at=NEW_YORK)
    here = stored(plain)
    assert here[b"Stop:a"] == {b"name": b"\xa1a", b"at": tagged(*NEW_YORK), b"kind": b"\xa3bus"}
    assert here[INDEX] == [b"Stop:a"]
    ((longitude, latitude),) = plain.geopos(INDEX.decode(), "Stop:a")
    assert (latitude, longitude) == pytest.approx(NEW_YORK, abs=1e-5)


def test_no_place_has_no_entry(store: Any, plain: Any):
    Stop.create(name="a")
    here = stored(plain)
    assert here[b"Stop:a"][b"at"] == tagged(None, None)
    assert here[INDEX] == []
    assert Stop.load("Stop:a").at == GeoField.Coordinates(None, None)


def test_a_place_comes_back_with_its_names(store: Any):
    Stop.create(name="a", at=GeoField.Coordinates(1, 2))
    for row in (Stop.load("Stop:a"), Stop.query.filter(name="a")[0]):
        assert row.at == (1.0, 2.0)
        assert (row.at.latitude, row.at.longitude) == (1.0, 2.0)
        assert isinstance(row.at, GeoField.Coordinates)


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.0, 10.0), (10.0, 0.0), (85.05, 180.0), (-85.05, -180.0)])
def test_every_place_of_the_grid_is_kept_and_found(store: Any, plain: Any, place: tuple[float, float]):
    Stop.create(name="a", at=place)
    assert places(plain) == [b"Stop:a"]
    assert names(at=place) == ["a"]
    assert names(at=(45.0, 45.0), at_radius=100, at_radius_unit="km") == []


def test_moving_renaming_and_deleting_keep_the_index(store: Any, plain: Any):
    Stop.create(name="a", at=NEW_YORK)
    row = Stop.query.filter(name="a")[0]
    row.at = LONDON
    row.save()
    assert plain.geopos(INDEX.decode(), "Stop:a")[0][1] == pytest.approx(51.5, abs=1e-5)
    assert names(at=NEW_YORK, at_radius=10, at_radius_unit="km") == []
    row.name = "b"
    row.save(migrate_key=True)
    assert places(plain) == [b"Stop:b"]
    row.at = None
    row.save()
    assert places(plain) == []
    row.at = NEAR
    row.save(update_fields=["at"])
    assert places(plain) == [b"Stop:b"]
    Stop.create(name="b")
    assert places(plain) == []
    Stop.create(name="b", at=NEAR)
    Stop(name="b").delete()
    assert stored(plain) == {INDEX: []}


@pytest.mark.parametrize(
    "wrong",
    [(95, 10), (10, 181), (math.nan, 0), (math.inf, 0), (1, None), (None, 1), (1, 2, 3), (1,), "12", 5, (True, 1), {}],
)
def test_a_wrong_place_is_refused_and_nothing_written(store: Any, plain: Any, wrong: Any):
    Stop.create(name="a", at=NEW_YORK)
    before = stored(plain)
    row = Stop.load("Stop:a")
    row.at = wrong
    with pytest.raises(ModelException, match=r"Stop\.at"):
        row.save()
    with pytest.raises(ModelException, match=r"Stop\.at"):
        Stop.create(name="b", at=wrong)
    assert stored(plain) == before


def test_a_place_may_be_demanded(fake: Any, plain: Any):
    class Tower(Model):
        name = KeyField()
        at = GeoField(null=False)

    with pytest.raises(ModelException, match="null=False"):
        Tower.create(name="a")
    assert stored(plain) == {INDEX: []}


def test_a_radius_finds_what_is_near(store: Any):
    stops()
    assert sorted(names(at=NEW_YORK, at_radius=5, at_radius_unit="km")) == ["near", "ny"]
    assert sorted(names(at_latitude=40.7128, at_longitude=-74.006, at_radius=3, at_radius_unit="mi")) == ["near", "ny"]
    assert names(at=NEW_YORK) == ["ny"]
    assert names(at=NEW_YORK, at_radius=0) == ["ny"]
    assert sorted(names(at_member=Stop.load("Stop:ny"), at_radius=3200, at_radius_unit="ft")) == ["near", "ny"]
    assert names(at_member=Stop.load("Stop:ny"), at_radius=3000, at_radius_unit="ft") == ["ny"]
    assert sorted(names(at=NEW_YORK, at_radius=5, at_radius_unit="km", kind="bus")) == ["near", "ny"]
    assert names(at=NEW_YORK, at_radius=5, at_radius_unit="km", kind="tram") == []
    assert Stop.query.count(at=NEW_YORK, at_radius=5, at_radius_unit="km") == 2


def test_an_unsaved_instance_can_be_the_centre(store: Any):
    stops()
    assert names(at_member=Stop(name="x", at=LONDON), at_radius=1, at_radius_unit="km") == ["london"]


def test_distances_come_nearest_first_in_the_unit_asked(store: Any, plain: Any):
    stops()
    found = Stop.query.filter(at=NEW_YORK, at_radius=1e4, at_radius_unit="km", at_with_distances=True)
    assert [row.name for row in found] == ["ny", "near", "london"]
    assert [row._geo_distance_unit for row in found] == ["km"] * 3
    assert found[0]._geo_distance == 0
    for row in found[1:]:
        wanted = plain.geodist(INDEX.decode(), "Stop:ny", row.pk, "km")
        assert row._geo_distance == pytest.approx(wanted, abs=0.01)
    first = Stop.query.filter(at=NEW_YORK, at_radius=1e4, at_radius_unit="km", at_with_distances=True, limit=1)
    assert [row.name for row in first] == ["ny"]
    by_name = Stop.query.filter(
        at=NEW_YORK, at_radius=1e4, at_radius_unit="km", at_with_distances=True, order_by="name"
    )
    assert [row.name for row in by_name] == ["london", "near", "ny"]


def test_distances_beside_rows_without_a_place(store: Any):
    stops()
    near = Q(at=NEW_YORK, at_radius=5, at_radius_unit="km", at_with_distances=True)
    found = Stop.query.filter(near | Q(name="none"))
    assert [row.name for row in found] == ["ny", "near", "none"]
    assert sorted(row.name for row in Stop.query.filter(~near)) == ["london", "none"]


def test_isnull_finds_rows_without_a_place(store: Any):
    stops()
    assert names(at__isnull=True) == ["none"]
    assert sorted(names(at__isnull=False)) == ["london", "near", "ny"]


def haversine(one: tuple[float, float], other: tuple[float, float]) -> float:
    (a, b), (c, d) = [tuple(map(math.radians, place)) for place in (one, other)]
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6372797.560856 * math.asin(min(1.0, math.sqrt(half)))


def test_random_circles_find_just_what_lies_inside(store: Any):
    dice = random.Random(3)
    spots = {str(number): (dice.uniform(-80, 80), dice.uniform(-180, 180)) for number in range(150)}
    spots |= {f"east{number}": (dice.uniform(-1, 1), 180 - dice.random()) for number in range(10)}
    spots |= {f"west{number}": (dice.uniform(-1, 1), dice.random() - 180) for number in range(10)}
    Stop.bulk_create([Stop(name=name, at=at) for name, at in spots.items()])
    for _ in range(40):
        centre = dice.choice([(dice.uniform(-70, 70), dice.uniform(-180, 180)), *spots.values()])
        radius = dice.choice([500, 5e4, 5e5, 3e6, 1e7])
        distances = {name: haversine(centre, at) for name, at in spots.items()}
        if any(abs(distance - radius) < 5 for distance in distances.values()):
            continue
        wanted = sorted(name for name, distance in distances.items() if distance <= radius)
        assert sorted(names(at=centre, at_radius=radius)) == wanted, (centre, radius)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"at_radius": 5}, "needs one centre"),
        ({"at_latitude": 5}, "needs one centre"),
        ({"at": NEAR, "at_member": Stop(name="x", at=NEAR)}, "needs one centre"),
        ({"at": NEAR, "at_radius_unit": "yd"}, "yd"),
        ({"at": NEAR, "at_radius": -1}, "-1"),
        ({"at": NEAR, "at_radius": "5"}, "'5'"),
        ({"at": NEAR, "at_radius": math.nan}, "nan"),
        ({"at": NEAR, "at_with_distances": 1}, "True or False"),
        ({"at": (95, 1)}, "latitude"),
        ({"at": None}, "no place"),
        ({"at_member": Stop(name="x")}, "no place"),
        ({"at_member": object()}, "no place"),
        ({"at__gt": 3}, "no lookup"),
        ({"at_nope": 3}, "no lookup"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(fake: Any, keywords: dict[str, Any], message: str):
    with round_trips() as trips, pytest.raises(QueryException, match=message):
        Stop.query.filter(**keywords)
    assert trips == 0


def test_a_search_takes_one_round_trip_and_its_twin_finds_the_same(store: Any):
    stops()
    with round_trips() as trips:
        assert len(Stop.query.filter(at=NEW_YORK, at_radius=5, at_radius_unit="km")) == 2
    assert trips == 1

    async def ask() -> list[Any]:
        return await Stop.query.async_filter(at=NEW_YORK, at_radius=5, at_radius_unit="km", at_with_distances=True)

    assert [row.name for row in asyncio.run(ask())] == ["ny", "near"]


def test_an_entry_that_lies_finds_nothing(store: Any, plain: Any):
    stops()
    plain.geoadd(INDEX.decode(), (*reversed(LONDON), "Stop:ny"))
    plain.geoadd(INDEX.decode(), (*reversed(LONDON), "Stop:ghost"))
    assert names(at=LONDON, at_radius=5, at_radius_unit="km") == ["london"]
    assert Stop.rebuild_indexes() == 4
    assert sorted(names(at=NEW_YORK, at_radius=5, at_radius_unit="km")) == ["near", "ny"]
    assert places(plain) == [b"Stop:london", b"Stop:near", b"Stop:ny"]


def test_similar_names_do_not_interfere(fake: Any):
    class Trip(Model):
        name = KeyField()
        a = GeoField()
        a_radius = Field()

    Trip.create(name="x", a=NEAR, a_radius="5")
    assert [row.name for row in Trip.query.filter(a_radius="5")] == ["x"]
