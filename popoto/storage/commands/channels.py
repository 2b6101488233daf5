"""Publishing to channels; needs the capability `pubsub`. Subscribing is the backend's `subscribe`."""

from __future__ import annotations

from popoto.storage import replies
from popoto.storage.steps import Arg, Command


def publish(channel: Arg, data: Arg) -> Command[int]:
    """Send data to a channel's subscribers; the reply counts those on this server."""
    return Command("PUBLISH", channel, data, shape=replies.integer, writes=True, needs="pubsub")
