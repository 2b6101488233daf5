"""Predictions, and how wrong they were."""

from popoto.fields.prediction_ledger.mixin import PredictionLedgerMixin

__all__ = ["PredictionLedgerMixin"]
