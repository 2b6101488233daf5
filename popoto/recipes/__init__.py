"""Recipes: what an agent's memory does with the primitives."""

from popoto.recipes.adaptive_assembler import AdaptiveAssembler
from popoto.recipes.context_assembler import AssemblyResult, ContextAssembler, RetrievalQuality
from popoto.recipes.subconscious_memory import SubconsciousMemory

__all__ = ["AdaptiveAssembler", "AssemblyResult", "ContextAssembler", "RetrievalQuality", "SubconsciousMemory"]
