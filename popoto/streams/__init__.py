"""Event streams: every save and delete of a model as an entry of a stream, and consumers that work through them."""

from popoto.streams.consumer import StreamConsumer
from popoto.streams.event_stream import EventStreamMixin

__all__ = ["EventStreamMixin", "StreamConsumer"]
