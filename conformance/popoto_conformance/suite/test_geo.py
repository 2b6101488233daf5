"""Geospatial indexes: longitude comes first, distances have units, the nearest comes first."""

from __future__ import annotations

import pytest

from popoto.exceptions import ReplyError
from popoto.storage import ask
from popoto.storage.commands.geo import Unit, geoadd, geobox, geodist, geopos, georadius, georadius_member
from popoto.storage.commands.keys import exists
from popoto.storage.commands.sorted_sets import zcard, zrem
from popoto_conformance.cases import Keys, case, close_to, exactly

PALERMO = (13.361389, 38.115556)
CATANIA = (15.087269, 37.502669)
ROME = (12.496366, 41.902782)
APART = 166_274.1516
METRES: dict[Unit, float] = {"m": 1.0, "km": 1000.0, "ft": 0.3048, "mi": 1609.34}
# A place is kept to within half a metre, and one of the stores rounds it once more.
NEAR = 5e-5


async def sicily(k: Keys) -> None:
    exactly(await ask(geoadd(k(), *PALERMO, "Palermo")), 1)
    exactly(await ask(geoadd(k(), *CATANIA, "Catania")), 1)
    exactly(await ask(geoadd(k(), *ROME, "Rome")), 1)


@case("geo")
async def test_geoadd_counts_new_members_and_moves_old_ones(k: Keys) -> None:
    exactly(await ask(geoadd(k(), *PALERMO, "x")), 1)
    exactly(await ask(geoadd(k(), *ROME, "x")), 0)
    exactly(await ask(zcard(k())), 1)
    (place,) = await ask(geopos(k(), "x"))
    assert place == pytest.approx(ROME, abs=NEAR), place


@case("geo")
async def test_positions_are_longitude_and_latitude(k: Keys) -> None:
    await sicily(k)
    rome, none, palermo = await ask(geopos(k(), "Rome", "none", "Palermo"))
    exactly(none, None)
    for place, expected in ((rome, ROME), (palermo, PALERMO)):
        assert isinstance(place, tuple) and {type(degrees) for degrees in place} == {float}, place
        assert place == pytest.approx(expected, abs=NEAR), place
    exactly(await ask(geopos(k("none"), "a")), [None])


@case("geo")
async def test_distances_have_units(k: Keys) -> None:
    await sicily(k)
    close_to(await ask(geodist(k(), "Palermo", "Catania")), APART, part=1e-4)
    for unit, metres in METRES.items():
        close_to(await ask(geodist(k(), "Palermo", "Catania", unit)), APART / metres, part=1e-4)
    exactly(await ask(geodist(k(), "Palermo", "none")), None)
    exactly(await ask(geodist(k("none"), "Palermo", "Catania")), None)


@case("geo")
async def test_a_circle_holds_its_members_nearest_first(k: Keys) -> None:
    await sicily(k)
    (first, near), (second, far) = await ask(georadius(k(), 15, 37, 200, "km"))
    exactly([first, second], [b"Catania", b"Palermo"])
    close_to(near, 56.4413, part=1e-4)
    close_to(far, 190.4424, part=1e-4)
    exactly([name for name, _ in await ask(georadius(k(), 15, 37, 100, "km"))], [b"Catania"])
    exactly([name for name, _ in await ask(georadius(k(), 15, 37, 1000, "km", count=2))], [b"Catania", b"Palermo"])
    exactly(await ask(georadius(k(), -15, -37, 200, "km")), [])
    exactly(await ask(georadius(k("none"), 15, 37, 200, "km")), [])


@case("geo")
async def test_a_circles_radius_is_in_its_unit(k: Keys) -> None:
    await sicily(k)
    for unit, metres in METRES.items():
        (name, distance), *others = await ask(georadius(k(), 15, 37, 60_000 / metres, unit))
        exactly((name, others), (b"Catania", []))
        close_to(distance, 56_441.3 / metres, part=1e-4)
        exactly(await ask(georadius(k(), 15, 37, 50_000 / metres, unit)), [])


@case("geo")
async def test_a_circle_around_a_member_holds_it_too(k: Keys) -> None:
    await sicily(k)
    (own, zero), (other, distance) = await ask(georadius_member(k(), "Palermo", 200, "km"))
    exactly([own, other], [b"Palermo", b"Catania"])
    exactly(zero, 0.0)
    close_to(distance, APART / 1000, part=1e-4)
    exactly([name for name, _ in await ask(georadius_member(k(), "Palermo", 900, "km", count=1))], [b"Palermo"])


@case("geo")
async def test_longitudes_near_the_date_line_meet(k: Keys) -> None:
    await ask(geoadd(k(), 179.999, 0.5, "east"))
    await ask(geoadd(k(), -179.999, 0.5, "west"))
    exactly([name for name, _ in await ask(georadius(k(), 179.999, 0.5, 1, "km"))], [b"east", b"west"])


@case("geo")
async def test_a_member_can_be_taken_out(k: Keys) -> None:
    await sicily(k)
    exactly(await ask(zrem(k(), "Palermo", "Catania", "Rome")), 3)
    exactly(await ask(exists(k())), False)


@case("geo")
async def test_impossible_places_are_errors(k: Keys) -> None:
    for longitude, latitude in ((181.0, 0.0), (0.0, 86.0), (-181.0, 0.0), (0.0, -86.0)):
        with pytest.raises(ReplyError):
            await ask(geoadd(k(), longitude, latitude, "x"))
    exactly(await ask(exists(k())), False)
    await ask(geoadd(k(), 1, 1, "x"))
    with pytest.raises(ReplyError):
        await ask(georadius_member(k(), "none", 1, "km"))


@case("geo-box")
async def test_a_box_is_as_wide_and_high_as_it_says(k: Keys) -> None:
    await sicily(k)
    (first, near), (second, _) = await ask(geobox(k(), 15, 37, 400, 400, "km"))
    exactly([first, second], [b"Catania", b"Palermo"])
    close_to(near, 56.4413, part=1e-4)
    exactly([name for name, _ in await ask(geobox(k(), 15, 37, 400, 120, "km"))], [b"Catania"])
    exactly([name for name, _ in await ask(geobox(k(), 15, 37, 400, 400, "km", count=1))], [b"Catania"])
    exactly(await ask(geobox(k(), 15, 37, 400, 100, "km")), [])
    exactly(await ask(geobox(k("none"), 15, 37, 400, 400, "km")), [])
