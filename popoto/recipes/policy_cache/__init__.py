"""A cache of policies: what an agent did, in which state, and what came of it."""

from popoto.recipes.policy_cache.crystallisation import async_crystallize, crystallization_handler, crystallize
from popoto.recipes.policy_cache.discovery import discover_cycles, temporal_discovery_handler
from popoto.recipes.policy_cache.entry import PolicyEntry
from popoto.recipes.policy_cache.q_values import (
    QValueMixin,
    async_get_q_value,
    async_initialize_q_value,
    async_update_q_value,
    get_q_value,
    initialize_q_value,
    update_q_value,
)
from popoto.recipes.policy_cache.statistics import (
    CHI_SQUARED_CRITICAL,
    chi_squared,
    chi_squared_uniform,
    compute_fingerprint,
    wilson_ci_lower,
)

__all__ = [
    "CHI_SQUARED_CRITICAL",
    "PolicyEntry",
    "QValueMixin",
    "async_crystallize",
    "async_get_q_value",
    "async_initialize_q_value",
    "async_update_q_value",
    "chi_squared",
    "chi_squared_uniform",
    "compute_fingerprint",
    "crystallization_handler",
    "crystallize",
    "discover_cycles",
    "get_q_value",
    "initialize_q_value",
    "temporal_discovery_handler",
    "update_q_value",
    "wilson_ci_lower",
]
