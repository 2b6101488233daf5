"""Text analysis: which words a text has, and where a word's bits and counters lie. Nothing here performs I/O."""

from __future__ import annotations

from popoto.analysis.analyzers import Analyzer, analyzer
from popoto.analysis.hashes import bloom_positions, bloom_shape, sketch_columns

__all__ = ["Analyzer", "analyzer", "bloom_positions", "bloom_shape", "sketch_columns"]
