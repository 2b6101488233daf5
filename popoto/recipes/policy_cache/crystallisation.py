"""Policies from experience: an action that keeps succeeding in a state becomes a policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from popoto import clock
from popoto.fields.constants import Defaults, TemporalPeriod
from popoto.keys import part
from popoto.models.creating import get_or_create
from popoto.recipes.policy_cache.entry import PolicyEntry
from popoto.recipes.policy_cache.q_values import beginning
from popoto.recipes.policy_cache.statistics import wilson_ci_lower
from popoto.storage import Call, Script, ask_all, layout, together

DEFAULT_AGENT: Final = "default"
# The latest events of a state and action that count, and how long they are kept after the last one.
MOST_EVENTS: Final = 1_000
KEPT_MILLISECONDS: Final = 1_000 * TemporalPeriod.QUARTERLY
SUCCESS: Final = ("1", "true", "yes", "success", "acted", "used")
_EVIDENCE: Final = Script(
    "popoto.policy_evidence",
    "popoto.recipes.policy_cache",
    "evidence.lua",
    shape=lambda raw: (int(raw[0]), int(raw[1])),
    writes=True,
)

Entries = Iterable[tuple[str, Mapping[str, str]]]


@dataclass(slots=True)
class _Pattern:
    """What happened in one state by one action of one agent."""

    agent_id: str
    fingerprint: str
    action_type: str
    features: str = ""
    action: str = ""
    events: dict[str, bool] = field(default_factory=dict)

    @property
    def entry_id(self) -> str:
        """The same for the same pattern, so that two writers make one policy."""
        named = json.dumps([self.agent_id, self.fingerprint, self.action_type])
        return hashlib.sha256(named.encode()).hexdigest()[:32]


def crystallize(entries: Entries) -> list[PolicyEntry]:
    """Note what came of actions, and make a policy of each that has proved itself.

    Events are grouped by agent, state and action, over all calls: an event is told by its id, and counts once however
    often it is delivered. A policy is made when there are `Defaults.MIN_EVENTS_FOR_CRYSTALLIZATION` (3) events and the
    lower end of Wilson's interval for their successes is above `Defaults.WILSON_CI_THRESHOLD` (0.6), which takes six
    straight successes; that bound is its first value. One that is there already stays as it is.

    Args:
        entries: `(id, {field: text})`, as `StreamConsumer` hands them. `state_fingerprint` and `action_type` are
            needed, other entries are passed over; `agent_id` is "default" unless given; `success`, or `outcome`, is
            one of 1, true, yes, success, acted or used, in any case; `state_features` and `action_spec` are kept.

    Returns:
        The policies that were made.
    """
    return PolicyEntry._run(_crystallizing(entries))  # type: ignore[no-any-return]


async def async_crystallize(entries: Entries) -> list[PolicyEntry]:
    """`crystallize` for asyncio."""
    return await PolicyEntry._arun(_crystallizing(entries))  # type: ignore[no-any-return]


async def crystallization_handler(entries: Entries) -> list[PolicyEntry]:
    """`async_crystallize`, by the name under which a `StreamConsumer` takes it."""
    return await async_crystallize(entries)


async def _crystallizing(entries: Entries) -> list[PolicyEntry]:
    patterns = list(_patterns(entries).values())
    here = PolicyEntry._meta.keyspace(await layout())
    calls = [_noting(here.prefix, pattern) for pattern in patterns]
    counts = await ask_all(calls)
    plans, bounds = [], []
    for pattern, (total, successes) in zip(patterns, counts, strict=True):
        bound = wilson_ci_lower(successes, total)
        if total >= Defaults.MIN_EVENTS_FOR_CRYSTALLIZATION and bound > Defaults.WILSON_CI_THRESHOLD:
            plans.append(get_or_create(PolicyEntry, *_lookup(pattern)))
            bounds.append(bound)
    found = await together(plans)
    # A value that is missing is given also when another writer, or an earlier try, has made the row.
    await together([beginning(entry, bound, kept=True) for (entry, _), bound in zip(found, bounds, strict=True)])
    return [entry for entry, made in found if made]


def _patterns(entries: Entries) -> dict[tuple[str, str, str], _Pattern]:
    found: dict[tuple[str, str, str], _Pattern] = {}
    for event, fields in entries:
        fingerprint, action_type = fields.get("state_fingerprint"), fields.get("action_type")
        if not fingerprint or not action_type:
            continue
        agent = fields.get("agent_id") or DEFAULT_AGENT
        one = found.setdefault((agent, fingerprint, action_type), _Pattern(agent, fingerprint, action_type))
        one.features = _json(fields.get("state_features")) or one.features
        one.action = _json(fields.get("action_spec")) or one.action
        one.events[str(event)] = str(fields.get("success", fields.get("outcome", ""))).lower() in SUCCESS
    return found


def _noting(prefix: str, pattern: _Pattern) -> Call[tuple[int, int]]:
    places = ":".join(part(one) for one in (pattern.agent_id, pattern.fingerprint, pattern.action_type))
    words: list[str | int] = [MOST_EVENTS, KEPT_MILLISECONDS, len(pattern.events)]
    for event, success in pattern.events.items():
        words += (event, _milliseconds(event), int(success))
    return Call(_EVIDENCE, [f"{prefix}$QV:PolicyEntry:evidence:{places}"], words)


def _milliseconds(event: str) -> int:
    """When an event was, by its id in a stream."""
    first = event.split("-")[0]
    return int(first) if first.isdigit() else int(1000 * clock.now())


def _lookup(pattern: _Pattern) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a policy that is made has besides, and what names it."""
    named = {
        "entry_id": pattern.entry_id,
        "agent_id": pattern.agent_id,
        "state_fingerprint": pattern.fingerprint,
        "action_type": pattern.action_type,
    }
    return {"state_features": pattern.features, "action_spec": pattern.action}, named


def _json(value: Any) -> str:
    """A text as it is; anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, default=str)
