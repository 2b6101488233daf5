"""popoto maps Python classes to Redis and Valkey, with pluggable storage.

Names are imported when they are first asked for, so that `import popoto` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from popoto.configuration import configure
    from popoto.exceptions import (
        BackendError,
        BadURL,
        CapabilityError,
        CrossSlot,
        KeyMutationError,
        ModelException,
        OutcomeUnknown,
        PublisherException,
        QueryException,
        ReplyError,
        SkipSaveException,
        StaleObjectError,
        SubscriberException,
        Unavailable,
    )
    from popoto.fields import (
        AutoKeyField,
        BM25Field,
        BooleanField,
        BytesField,
        ConfidenceField,
        ContentField,
        CoOccurrenceField,
        CyclicDecayField,
        DataFrameField,
        DateField,
        DatetimeField,
        DecayingSortedField,
        DecimalField,
        DictField,
        EmbeddingField,
        ExistenceFilter,
        Field,
        FloatField,
        FrequencySketch,
        GeoField,
        IndexedField,
        IntField,
        KeyField,
        ListField,
        Relationship,
        SetField,
        SortedField,
        SortedKeyField,
        StringField,
        TimeField,
        TupleField,
        UniqueField,
        UniqueKeyField,
    )
    from popoto.fields.access_tracker import AccessTrackerMixin
    from popoto.fields.constants import Defaults, InteractionWeight, TemporalPeriod
    from popoto.fields.expressions import CombinedExpression, Expression, Q
    from popoto.fields.observation import ObservationProtocol
    from popoto.fields.prediction_ledger import PredictionLedgerMixin
    from popoto.fields.recall_proposal import RecallProposal
    from popoto.fields.write_filter import WriteFilterMixin
    from popoto.models import DB_key, Model, ModelBase, Query
    from popoto.monitoring import enable_error_reporting
    from popoto.pubsub import Publisher, Subscriber
    from popoto.recipes import AdaptiveAssembler, AssemblyResult, ContextAssembler, RetrievalQuality
    from popoto.redis_db import POPOTO_REDIS_DB, get_async_redis_db, get_redis
    from popoto.storage import Connection, Pipeline, RoundTrips, connect, connection, plugins, round_trips, using
    from popoto.streams import EventStreamMixin, StreamConsumer

    __version__: str

_HOMES = {
    "popoto.configuration": ("configure",),
    "popoto.exceptions": (
        "BackendError",
        "BadURL",
        "CapabilityError",
        "CrossSlot",
        "KeyMutationError",
        "ModelException",
        "OutcomeUnknown",
        "PublisherException",
        "QueryException",
        "ReplyError",
        "SkipSaveException",
        "StaleObjectError",
        "SubscriberException",
        "Unavailable",
    ),
    "popoto.fields": (
        "AutoKeyField",
        "BM25Field",
        "BooleanField",
        "BytesField",
        "CoOccurrenceField",
        "ConfidenceField",
        "ContentField",
        "DataFrameField",
        "DateField",
        "DatetimeField",
        "DecimalField",
        "DictField",
        "EmbeddingField",
        "ExistenceFilter",
        "Field",
        "FloatField",
        "FrequencySketch",
        "GeoField",
        "IndexedField",
        "IntField",
        "KeyField",
        "CyclicDecayField",
        "DecayingSortedField",
        "CyclicDecayField",
        "DecayingSortedField",
        "ListField",
        "Relationship",
        "SetField",
        "SortedField",
        "SortedKeyField",
        "StringField",
        "TimeField",
        "TupleField",
        "UniqueField",
        "UniqueKeyField",
    ),
    "popoto.fields.access_tracker": ("AccessTrackerMixin",),
    "popoto.fields.constants": (
        "Defaults",
        "InteractionWeight",
        "TemporalPeriod",
    ),
    "popoto.fields.expressions": (
        "CombinedExpression",
        "Expression",
        "Q",
    ),
    "popoto.fields.observation": ("ObservationProtocol",),
    "popoto.fields.prediction_ledger": ("PredictionLedgerMixin",),
    "popoto.fields.recall_proposal": ("RecallProposal",),
    "popoto.fields.write_filter": ("WriteFilterMixin",),
    "popoto.models": (
        "DB_key",
        "Model",
        "ModelBase",
        "Query",
    ),
    "popoto.monitoring": ("enable_error_reporting",),
    "popoto.pubsub": (
        "Publisher",
        "Subscriber",
    ),
    "popoto.recipes": (
        "AdaptiveAssembler",
        "AssemblyResult",
        "ContextAssembler",
        "RetrievalQuality",
    ),
    "popoto.redis_db": (
        "POPOTO_REDIS_DB",
        "get_async_redis_db",
        "get_redis",
    ),
    "popoto.storage": (
        "Connection",
        "Pipeline",
        "RoundTrips",
        "connect",
        "connection",
        "plugins",
        "round_trips",
        "using",
    ),
    "popoto.streams": (
        "EventStreamMixin",
        "StreamConsumer",
    ),
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _NAMES:
        value = getattr(import_module(_NAMES[name]), name)
    elif name.startswith("_") or name not in _MODULES:
        raise AttributeError(f"module 'popoto' has no attribute {name!r}")
    else:
        return import_module(f"popoto.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    metadata = import_module("importlib.metadata")
    try:
        return str(metadata.version("popoto"))
    except metadata.PackageNotFoundError:
        return "0.0.0+unknown"


_MODULES = frozenset(
    {"exceptions", "fields", "keys", "models", "pubsub", "queries", "recipes", "redis_db", "storage", "streams"}
)

__all__ = [
    "POPOTO_REDIS_DB",
    "AccessTrackerMixin",
    "AdaptiveAssembler",
    "AssemblyResult",
    "AutoKeyField",
    "BM25Field",
    "BackendError",
    "BadURL",
    "BooleanField",
    "BytesField",
    "CapabilityError",
    "CoOccurrenceField",
    "CombinedExpression",
    "ConfidenceField",
    "Connection",
    "ContentField",
    "ContextAssembler",
    "CrossSlot",
    "CyclicDecayField",
    "DB_key",
    "DataFrameField",
    "DateField",
    "DatetimeField",
    "DecayingSortedField",
    "DecimalField",
    "Defaults",
    "DictField",
    "EmbeddingField",
    "EventStreamMixin",
    "ExistenceFilter",
    "Expression",
    "Field",
    "FloatField",
    "FrequencySketch",
    "GeoField",
    "IndexedField",
    "IntField",
    "InteractionWeight",
    "KeyField",
    "KeyMutationError",
    "ListField",
    "Model",
    "ModelBase",
    "ModelException",
    "ObservationProtocol",
    "OutcomeUnknown",
    "Pipeline",
    "PredictionLedgerMixin",
    "Publisher",
    "PublisherException",
    "Q",
    "Query",
    "QueryException",
    "RecallProposal",
    "Relationship",
    "ReplyError",
    "RetrievalQuality",
    "RoundTrips",
    "SetField",
    "SkipSaveException",
    "SortedField",
    "SortedKeyField",
    "StaleObjectError",
    "StreamConsumer",
    "StringField",
    "Subscriber",
    "SubscriberException",
    "TemporalPeriod",
    "TimeField",
    "TupleField",
    "Unavailable",
    "UniqueField",
    "UniqueKeyField",
    "WriteFilterMixin",
    "__version__",
    "configure",
    "connect",
    "connection",
    "enable_error_reporting",
    "get_async_redis_db",
    "get_redis",
    "plugins",
    "round_trips",
    "using",
]
