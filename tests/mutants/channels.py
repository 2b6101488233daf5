"""Mutants that lose or garble what is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mutants.mutant import Mutant, word
from popoto.storage import Message, Reply, Step


class SubscribesLate(Mutant):
    """Subscribes when it is first read, and so misses what was published right after `subscribe`."""

    killed_by = "test_pubsub"
    late = True


class DropsFirstMessage(Mutant):
    """Drops the first message of a subscription."""

    killed_by = "test_pubsub"

    def __init__(self) -> None:
        self.dropped = False

    def message(self, message: Message) -> Message | None:
        first, self.dropped = not self.dropped, True
        return None if first else message


class IgnoresPatterns(Mutant):
    """Takes a pattern for the name of a channel."""

    killed_by = "test_pubsub"

    def subscription(self, channels: Sequence[bytes], patterns: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        return [*channels, *patterns], []


class SubscribesOnce(Mutant):
    """Subscribes to the first of several channels."""

    killed_by = "test_pubsub"

    def subscription(self, channels: Sequence[bytes], patterns: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        return list(channels[:1]), list(patterns)


class ForgetsPattern(Mutant):
    """Does not say which pattern a message matched."""

    killed_by = "test_pubsub"

    def message(self, message: Message) -> Message | None:
        return replace(message, pattern=None)


class NamesPatternAsChannel(Mutant):
    """Gives the pattern where the channel belongs."""

    killed_by = "test_pubsub"

    def message(self, message: Message) -> Message | None:
        return replace(message, channel=message.pattern or message.channel)


class DecodesPayloads(Mutant):
    """Gives a message's payload as text."""

    killed_by = "test_pubsub"

    def message(self, message: Message) -> Message | None:
        text: Any = message.data.decode("utf-8", "replace")
        return replace(message, data=text)


class CountsNoSubscribers(Mutant):
    """Says of every message that nobody received it."""

    killed_by = "test_pubsub"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return 0 if word(step) == b"PUBLISH" else reply


class PrefersChannels(Mutant):
    """Leaves the patterns out where channels are named too."""

    killed_by = "test_pubsub"

    def subscription(self, channels: Sequence[bytes], patterns: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        return list(channels), [] if channels else list(patterns)
