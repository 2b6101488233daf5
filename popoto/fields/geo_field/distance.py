"""Distances on the sphere, as the servers compute them."""

from __future__ import annotations

import math
from typing import Final

METRES: Final = {"m": 1.0, "km": 1000.0, "ft": 0.3048, "mi": 1609.34}
"""Metres in each unit, as the servers have them."""

# The radius that Redis and Valkey use (geohash_helper.c).
EARTH_RADIUS_METRES: Final = 6_372_797.560856


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The distance of two (latitude, longitude) in metres, by the haversine formula."""
    latitude, longitude = math.radians(one[0]), math.radians(one[1])
    other_latitude, other_longitude = math.radians(other[0]), math.radians(other[1])
    across = math.sin((other_longitude - longitude) / 2)
    along = math.sin((other_latitude - latitude) / 2)
    half = along * along + math.cos(latitude) * math.cos(other_latitude) * across * across
    return 2 * EARTH_RADIUS_METRES * math.asin(min(1.0, math.sqrt(half)))
