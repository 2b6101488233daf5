"""A sketch of how many rows have a word: `FrequencySketch`."""

from popoto.fields.frequency_sketch.field import FrequencySketch

__all__ = ["FrequencySketch"]
