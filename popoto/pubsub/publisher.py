"""Publishers: objects that send messages to a channel."""

from __future__ import annotations

from abc import ABC
from typing import Any

from popoto.exceptions import PublisherException
from popoto.pubsub.payloads import packed, spelled
from popoto.storage import Connection, Op, ask, async_enlist, connection, enlist, layout
from popoto.storage.commands.channels import publish

__all__ = ["Publisher", "PublisherException"]


class Publisher(ABC):  # noqa: B024 - abstract by intent: a subclass is a kind of message
    """Sends msgpack messages to a channel; a subclass's name is its channel unless it says otherwise.

    Attributes:
        _channel_name: the channel of the class, None for its name.
        _publish_data: what `publish()` without data sends: what was published last.
        _connection_name: the connection that it uses, None for the default one.
    """

    _channel_name: str | None = None
    _publish_data: Any = None
    _connection_name: str | None = None

    def __init__(self, *args: Any, channel_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if channel_name is not None:
            self._channel_name = channel_name

    @property
    def channel_name(self) -> str:
        """The channel that messages go to."""
        return type(self).__name__ if self._channel_name is None else self._channel_name

    @channel_name.setter
    def channel_name(self, name: str) -> None:
        self._channel_name = name

    def publish(self, data: Any = None, channel_name: str | None = None, pipeline: Any = None) -> Any:
        """Send a message.

        Args:
            data: anything that msgpack carries, and dates, times, Decimals, sets and tuples; None sends again what
                was published last.
            channel_name: another channel for this message.
            pipeline: a pipeline of popoto's, redis-py's or valkey-py's, in which the message waits.

        Returns:
            How many subscribers of this server received it, or the pipeline; None when there is nothing to send.

        Raises:
            PublisherException: when there is no channel, or the data cannot be sent.
        """
        plan, here = self._prepared(data, channel_name)
        if plan is None:
            return None
        return here.run(plan) if pipeline is None else enlist(plan, pipeline, here)

    async def async_publish(self, data: Any = None, channel_name: str | None = None, pipeline: Any = None) -> Any:
        """`publish` for asyncio."""
        plan, here = self._prepared(data, channel_name)
        if plan is None:
            return None
        return await here.arun(plan) if pipeline is None else await async_enlist(plan, pipeline, here)

    def _prepared(self, data: Any, channel_name: str | None) -> tuple[Op[int] | None, Connection]:
        here = connection(self._connection_name)
        payload = self._publish_data if data is None else data
        if payload is None:
            return None, here
        channel = self.channel_name if channel_name is None else channel_name
        if not isinstance(channel, str) or not channel:
            raise PublisherException(f"{type(self).__name__}: {channel!r} is no channel name: give a text")
        try:
            raw = packed(payload)
        except ValueError as error:
            raise PublisherException(f"{type(self).__name__}: the data cannot be published: {error}") from error
        self._publish_data = payload
        return _publishing(channel, raw), here


async def _publishing(channel: str, raw: bytes) -> int:
    return await ask(publish(spelled(channel, await layout()), raw))
