"""A field whose rows are found by where they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from popoto.exceptions import ModelException
from popoto.fields.field import Field
from popoto.fields.geo_field.distance import METRES, metres
from popoto.fields.lookups import Lookup, isnull
from popoto.fields.sources import InCircle, Index, Match
from popoto.keys import field_tag

# The servers' grid ends here: the square of the Web Mercator projection.
MOST_LATITUDE: Final = 85.05112878
MOST_LONGITUDE: Final = 180.0
# A place in the index is off by up to 0.6 m, in fakeredis by more: what is found a little outside, the row decides.
SLACK_METRES: Final = 2.0
SLACK_RATIO: Final = 1.0001
PARTS: Final = ("latitude", "longitude", "radius", "radius_unit", "member", "with_distances")


class Coordinates(NamedTuple):
    """A place.

    Attributes:
        latitude: degrees north, -85.05112878 to 85.05112878.
        longitude: degrees east, -180 to 180.
    """

    latitude: float | None = None
    longitude: float | None = None


class GeoField(Field[Coordinates]):
    """A place, kept in a geospatial index for searches by radius.

    Values are `GeoField.Coordinates(latitude, longitude)`; a pair is taken too. No place is `Coordinates(None, None)`.

    Args:
        null: whether a row may have no place.

    Raises:
        ModelException: for another type or an unknown option.
    """

    Coordinates = Coordinates
    nothing = Coordinates()
    types = (tuple,)

    def __init__(self, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", tuple), null, **options)
        self.settled_type = None
        written, read = self.encode, self.decode
        self.encode = lambda value: written(tuple(value) if value is not None else (None, None))
        self.decode = lambda raw: _read(read(raw))

    if TYPE_CHECKING:

        def __set__(self, instance: Any, value: tuple[float | None, float | None] | None) -> None: ...

    def initial(self) -> Any:
        value = super().initial()
        return Coordinates() if value is None else self.convert(value)

    def convert(self, value: Any) -> Any:
        if isinstance(value, Coordinates) or value is None:
            pair: Any = value or (None, None)
        elif isinstance(value, tuple | list) and len(value) == 2:
            pair = value
        else:
            raise ValueError(f"{value!r} is no place: give GeoField.Coordinates(latitude, longitude), or a pair")
        if pair[0] is None and pair[1] is None:
            return Coordinates()
        return Coordinates(_degrees("latitude", pair[0], MOST_LATITUDE), _degrees("longitude", pair[1], MOST_LONGITUDE))

    def complaint(self, value: Any, *, null_check: bool = True) -> str | None:
        if value is None or value[0] is None:
            return (
                "is no place, and the field is declared null=False: give one" if null_check and not self.null else None
            )
        return None

    def operand(self, value: Any) -> Any:
        return self.convert(value)

    # -- the index

    def make_index(self) -> Index | None:
        return Index("G", field_tag(type(self).__name__), self.name, "x")

    def score(self, value: Any) -> str | None:
        """Longitude and latitude for the index, None for no place."""
        return None if value is None or value[0] is None else f"{value[1]!r} {value[0]!r}"

    def make_lookups(self) -> dict[str, Lookup]:
        return {"isnull": _isnull}

    def get_filter_query_params(self, field_name: str) -> set[str]:
        return {field_name, f"{field_name}__isnull", *(f"{field_name}_{part}" for part in PARTS)}

    def gathered(self, keywords: Mapping[str, Any]) -> tuple[set[str], Match] | None:
        """The search that the field's keywords make together: which were used, and the match.

        Raises:
            ValueError: when they make no sense.
        """
        used = {name for name in (self.name, *(f"{self.name}_{part}" for part in PARTS)) if name in keywords}
        if not used:
            return None
        given = {name.removeprefix(self.name).removeprefix("_"): keywords[name] for name in used}
        centre = self._centre(given)
        unit = given.get("radius_unit", "m")
        if unit not in METRES:
            raise ValueError(f"has the unit {unit!r}: use one of {', '.join(METRES)}")
        radius = given.get("radius", 1)
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 <= radius < math.inf:
            raise ValueError(f"has the radius {radius!r}: give a number from 0")
        reach = radius * METRES[unit]
        source = InCircle(self._index(), centre, reach * SLACK_RATIO + SLACK_METRES) if self.index else None
        nearest = partial(_distance, self.name, centre)
        wants = given.get("with_distances", False)
        if not isinstance(wants, bool):
            raise ValueError(f"has with_distances={wants!r}: give True or False")
        annotate = partial(_annotate, nearest, unit) if wants else None
        return used, Match(partial(_within, centre, reach), source, annotate=annotate, rank=nearest if wants else None)

    def _index(self) -> Index:
        if self.index is None:
            raise ModelException(f"{self._title()} is not part of a model yet")
        return self.index

    def _centre(self, given: Mapping[str, Any]) -> tuple[float, float]:
        ways = [name for name in ("", "member", "latitude") if name in given]
        if ("latitude" in given) != ("longitude" in given) or len(ways) != 1:
            raise ValueError(
                f"needs one centre: write {self.name}=(latitude, longitude), {self.name}_latitude=... with "
                f"{self.name}_longitude=..., or {self.name}_member=instance"
            )
        if "member" in given:
            centre = getattr(given["member"], self.name, None)
        else:
            centre = given[""] if "" in given else (given["latitude"], given["longitude"])
        place = self.convert(centre)
        if place.latitude is None or place.longitude is None:
            raise ValueError(f"has {centre!r} as its centre, which is no place: give latitude and longitude")
        return place.latitude, place.longitude


def _read(value: Any) -> Coordinates:
    if not isinstance(value, tuple | list) or len(value) != 2:
        return Coordinates()
    return Coordinates(*value)


def _degrees(name: str, value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        raise ValueError(f"the {name} is {value!r}: give degrees from {-most} to {most}")
    return float(value)


def _isnull(field: Any, operand: Any) -> Match:
    match = isnull(field, operand)
    return Match(lambda value: match.test(None if value is None or value[0] is None else value))


def _within(centre: tuple[float, float], reach: float, value: Any) -> bool:
    # A millimetre: the same place, written and read, may differ in the last bit.
    return value is not None and value[0] is not None and metres(centre, value) <= reach + 0.001


def _distance(name: str, centre: tuple[float, float], row: Any) -> float:
    place = getattr(row, name)
    return math.inf if place.latitude is None else metres(centre, place)


def _annotate(nearest: Any, unit: str, row: Any) -> None:
    distance = nearest(row)
    row.__dict__["_geo_distance"] = round(distance / METRES[unit], 4) if distance < math.inf else None
    row.__dict__["_geo_distance_unit"] = unit
