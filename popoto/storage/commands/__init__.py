"""The waist's closed vocabulary: one module per command group, one typed constructor per command."""

from popoto.storage.commands import (
    bitmaps,
    channels,
    geo,
    hashes,
    keys,
    lists,
    scripting,
    sets,
    sorted_sets,
    streams,
    strings,
)

__all__ = [
    "bitmaps",
    "channels",
    "geo",
    "hashes",
    "keys",
    "lists",
    "scripting",
    "sets",
    "sorted_sets",
    "streams",
    "strings",
]
