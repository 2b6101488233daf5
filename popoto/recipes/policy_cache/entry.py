"""A policy: an action that has proved itself in a state."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from popoto.fields import (
    AutoKeyField,
    ConfidenceField,
    CoOccurrenceField,
    DecayingSortedField,
    ExistenceFilter,
    KeyField,
    StringField,
)
from popoto.fields.access_tracker import AccessTrackerMixin
from popoto.fields.prediction_ledger import PredictionLedgerMixin
from popoto.models import Model
from popoto.recipes.policy_cache.q_values import QValueMixin
from popoto.streams import EventStreamMixin

# A state or an action of several dozen features, as JSON.
LONGEST = 65_536


def _known_by(entry: Any) -> str:
    return str(entry.state_fingerprint)


class PolicyEntry(QValueMixin, EventStreamMixin, AccessTrackerMixin, PredictionLedgerMixin, Model):
    """An action that has proved itself in a state, for one agent.

    `expected_value` decays from the last save or confirmed use, as relevance does. What the action is worth is a value
    of its own, the signal `q_value`: see `update_q_value`. `state_features` and `action_spec` are JSON texts;
    `features` and `action` are what they say.
    """

    _stream_name: ClassVar[str] = "policy_mutations"
    _stream_partition_field: ClassVar[str | None] = "agent_id"
    _q_partition_by: ClassVar[tuple[str, ...]] = ("agent_id",)  # type: ignore[misc]

    entry_id = AutoKeyField()
    agent_id = KeyField()
    state_fingerprint = KeyField()
    action_type = KeyField()
    state_features = StringField(max_length=LONGEST)
    action_spec = StringField(max_length=LONGEST)
    expected_value = DecayingSortedField(partition_by="agent_id")
    confidence = ConfidenceField(initial_confidence=0.5)
    related_policies = CoOccurrenceField(max_edges=100)
    bloom = ExistenceFilter(fingerprint_fn=_known_by)

    @property
    def features(self) -> Any:
        """The state's features; {} where none are stored."""
        return json.loads(self.state_features) if self.state_features else {}

    @property
    def action(self) -> Any:
        """What the action is; {} where it is not stored."""
        return json.loads(self.action_spec) if self.action_spec else {}
