"""Messages through channels: what is published reaches those who listen at that moment, and no one else."""

from popoto.pubsub.publisher import Publisher
from popoto.pubsub.subscriber import Message, Subscriber

__all__ = ["Message", "Publisher", "Subscriber"]
