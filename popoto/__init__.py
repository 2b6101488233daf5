"""popoto maps Python classes to Redis and Valkey, with pluggable storage."""

from importlib.metadata import PackageNotFoundError, version

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
    BooleanField,
    BytesField,
    DateField,
    DatetimeField,
    DecimalField,
    DictField,
    Field,
    FloatField,
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
from popoto.fields.expressions import CombinedExpression, Expression, Q
from popoto.models import DB_key, Model, ModelBase, Query
from popoto.monitoring import enable_error_reporting
from popoto.pubsub import Publisher, Subscriber
from popoto.redis_db import POPOTO_REDIS_DB, get_async_redis_db, get_redis
from popoto.storage import Connection, Pipeline, RoundTrips, connect, connection, plugins, round_trips, using
from popoto.streams import EventStreamMixin, StreamConsumer

try:
    __version__ = version("popoto")
except PackageNotFoundError:
    __version__ = "0.0.0+unknown"

__all__ = [
    "POPOTO_REDIS_DB",
    "AutoKeyField",
    "BackendError",
    "BadURL",
    "BooleanField",
    "BytesField",
    "CapabilityError",
    "CombinedExpression",
    "Connection",
    "CrossSlot",
    "DB_key",
    "DateField",
    "DatetimeField",
    "DecimalField",
    "DictField",
    "EventStreamMixin",
    "Expression",
    "Field",
    "FloatField",
    "GeoField",
    "IndexedField",
    "IntField",
    "KeyField",
    "KeyMutationError",
    "ListField",
    "Model",
    "ModelBase",
    "ModelException",
    "OutcomeUnknown",
    "Pipeline",
    "Publisher",
    "PublisherException",
    "Q",
    "Query",
    "QueryException",
    "Relationship",
    "ReplyError",
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
    "TimeField",
    "TupleField",
    "Unavailable",
    "UniqueField",
    "UniqueKeyField",
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
