"""The errors that popoto raises, from the model's down to the store's."""

from __future__ import annotations


class ModelException(Exception):
    """A model operation was refused: nothing was written."""


class KeyMutationError(ModelException):
    """The value of a key field changed after the first save and `migrate_key` was not given."""


class SkipSaveException(ModelException):
    """A hook asks that this save be skipped."""


class StaleObjectError(ModelException):
    """The stored row is gone, or newer than the instance that was to be saved."""


class BadReference(ModelException, ValueError):
    """A text is no reference to a content, or one that leads out of its store."""


class DamagedContent(ModelException):
    """What a content store keeps under a reference is not what was saved."""


class MissingContent(ModelException, FileNotFoundError):
    """The content that a row refers to is not kept by its store."""


class EmbeddingError(ModelException, RuntimeError):
    """An embedding provider failed; what it said is the cause, `__cause__`."""


class BadEmbedding(EmbeddingError, ValueError):
    """An embedding provider answered with something else than one finite vector of its dimensions for each text."""


class QueryException(Exception):
    """A query is malformed, or `get()` found more than one row."""


class PublisherException(Exception):
    """A publish operation failed."""


class SubscriberException(Exception):
    """A subscriber's message or its handler failed."""


class BackendError(Exception):
    """A store could not do what it was asked; the subclass says what may have happened.

    Attributes:
        nothing_sent: whether the step was refused before anything went to the store.
    """

    nothing_sent = False


class BadURL(BackendError):
    """No backend answers to this URL, or the URL is malformed. Nothing was sent."""

    nothing_sent = True


class CapabilityError(BackendError):
    """The backend does not claim a capability that a step needs. Nothing was sent."""

    nothing_sent = True


class CrossSlot(BackendError):
    """One step names keys of several hash slots. Nothing was sent."""

    nothing_sent = True


class PlanError(BackendError):
    """A plan awaited something that is not a step, or was built and run in a way that cannot work."""


class Unavailable(BackendError):
    """The store could not be reached; nothing ran, so trying again is safe."""


class OutcomeUnknown(BackendError):
    """The connection was lost after a writing batch had been sent: it may have run, or not."""


class TimedOut(OutcomeUnknown):
    """The server did not answer in time: what was sent may have run, or may run yet."""


class ReplyError(BackendError):
    """The server answered a step with an error.

    Attributes:
        code: the error's code in capitals, as `WRONGTYPE`.
        text: the rest of the server's message.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code} {text}".rstrip())
        self.code = code
        self.text = text

    def __reduce__(self) -> tuple[object, ...]:
        """What another process makes the error of."""
        return type(self), (self.code, self.text), self.__dict__


class WrongType(ReplyError):
    """The key holds another kind of value."""


class ScriptError(ReplyError):
    """A script failed on the server, before or after some of its writes."""


class ReadOnly(ReplyError):
    """The server is a read-only replica."""


class OutOfMemory(ReplyError):
    """The server is full and refuses to write."""


class Denied(ReplyError):
    """The user of this connection may not do that, or is not authenticated."""


class Busy(ReplyError):
    """The server cannot answer now: it is loading, busy with a script, or without its master."""
