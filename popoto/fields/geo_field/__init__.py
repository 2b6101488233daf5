"""`GeoField`."""

from popoto.fields.geo_field.field import Coordinates, GeoField

__all__ = ["Coordinates", "GeoField"]
