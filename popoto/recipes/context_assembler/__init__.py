"""Contexts for an agent, assembled from its memory, and how good they are."""

from popoto.recipes.context_assembler.assembler import AssemblyResult, ContextAssembler
from popoto.recipes.context_assembler.quality import RetrievalQuality

__all__ = ["AssemblyResult", "ContextAssembler", "RetrievalQuality"]
