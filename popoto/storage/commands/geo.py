"""Commands on geospatial indexes; they need the capability `geo`."""

from __future__ import annotations

from typing import Literal, TypeAlias

from popoto.storage import replies
from popoto.storage.steps import Arg, Command, Raw

Unit: TypeAlias = Literal["m", "km", "ft", "mi"]


def geoadd(key: Arg, longitude: float, latitude: float, member: Arg) -> Command[int]:
    """Place a member, in degrees; the reply counts new members."""
    words = ("GEOADD", key, longitude, latitude, member)
    return Command(*words, keys=(key,), shape=replies.integer, writes=True, needs="geo")


def geopos(key: Arg, *members: Arg) -> Command[list[tuple[float, float] | None]]:
    """Each member's longitude and latitude, in degrees, rounded to the index's grid."""
    return Command("GEOPOS", key, *members, keys=(key,), shape=replies.positions, needs="geo")


def geodist(key: Arg, one: Arg, other: Arg, unit: Unit = "m") -> Command[float | None]:
    """The distance of two members, None when one is missing."""
    return Command("GEODIST", key, one, other, unit, keys=(key,), shape=replies.score, needs="geo")


def georadius(
    key: Arg, longitude: float, latitude: float, radius: float, unit: Unit = "m", *, count: int = 0
) -> Command[list[tuple[bytes, float]]]:
    """Members within a circle with their distances, nearest first."""
    centre: tuple[Arg, ...] = ("FROMLONLAT", longitude, latitude)
    return _search(key, centre, ("BYRADIUS", radius, unit), count, "geo")


def georadius_member(
    key: Arg, member: Arg, radius: float, unit: Unit = "m", *, count: int = 0
) -> Command[list[tuple[bytes, float]]]:
    """Members within a circle around one of them, with their distances, nearest first."""
    return _search(key, ("FROMMEMBER", member), ("BYRADIUS", radius, unit), count, "geo")


def geobox(
    key: Arg, longitude: float, latitude: float, width: float, height: float, unit: Unit = "m", *, count: int = 0
) -> Command[list[tuple[bytes, float]]]:
    """Members within a box with their distances, nearest first. Needs `geo-box`."""
    centre: tuple[Arg, ...] = ("FROMLONLAT", longitude, latitude)
    return _search(key, centre, ("BYBOX", width, height, unit), count, "geo-box")


def _search(
    key: Arg, centre: tuple[Arg, ...], area: tuple[Arg, ...], count: int, needs: str
) -> Command[list[tuple[bytes, float]]]:
    limit: tuple[Arg, ...] = ("COUNT", count) if count else ()
    words = ("GEOSEARCH", key, *centre, *area, "ASC", *limit, "WITHDIST")
    return Command(*words, keys=(key,), shape=_distances, needs=needs)


def _distances(raw: Raw) -> list[tuple[bytes, float]]:
    return [(item[0], float(item[1])) for item in raw]
