"""A caller's pipeline: plans whose writes wait in it until it is executed, and are settled then.

`Pipeline` is popoto's own. A `redis.client.Pipeline`, a valkey one, or their asyncio forms are taken too: the commands
of a plan are queued in it, and its reply comes back through the pipeline's own response callbacks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import BackendError, PlanError, ReplyError
from popoto.storage.drivers import aio, blocking
from popoto.storage.plans import Op, Request, Running, together_running
from popoto.storage.resp import lowered
from popoto.storage.steps import Call, Step

if TYPE_CHECKING:
    from popoto.storage.connections import Connection

_CALLBACK: Final = "popoto_settle"


class Pipeline:
    """Operations that go to the store together, in one round trip, when `execute` is called.

    Each operation is atomic in itself; between two of them others may write.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._queued: list[Running] = []

    def __len__(self) -> int:
        return len(self._queued)

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()

    @property
    def connection(self) -> Connection:
        """Where the pipeline will be executed."""
        return self._connection

    def enlist(self, plan: Op[Any]) -> None:
        """Run a plan up to its first write, which waits for `execute`."""
        self._queued.append(_started(plan, self._connection))

    async def async_enlist(self, plan: Op[Any]) -> None:
        """Run a plan up to its first write, which waits for `async_execute`."""
        self._queued.append(await _astarted(plan, self._connection))

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send what is queued and return each operation's result in order.

        Raises:
            Exception: the first operation's error, after all have run, unless errors are to be returned in place.
        """
        queued, self._queued = self._queued, []
        return self._connection.run(together_running(queued, errors="raise" if raise_on_error else "return"))

    async def async_execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send what is queued, as `execute` does."""
        queued, self._queued = self._queued, []
        return await self._connection.arun(together_running(queued, errors="raise" if raise_on_error else "return"))

    def reset(self) -> None:
        """Drop what is queued."""
        self._queued = []


def _started(plan: Op[Any], connection: Connection) -> Running:
    running = Running(plan)
    while running.request is not None and not running.request.writes:
        try:
            reply = blocking.serve(running.request, connection.backend, connection.layout)
        except Exception as error:
            running.fail(error)
        else:
            running.reply(reply)
    _check_refused(running)
    return running


async def _astarted(plan: Op[Any], connection: Connection) -> Running:
    running = Running(plan)
    while running.request is not None and not running.request.writes:
        try:
            reply = await aio.serve(running.request, await connection.lane(), connection.layout)
        except Exception as error:
            running.fail(error)
        else:
            running.reply(reply)
    _check_refused(running)
    return running


def _check_refused(running: Running) -> None:
    if running.error is not None:
        raise running.error


def enlist(plan: Op[Any], pipeline: Any, connection: Connection) -> Any:
    """Put a plan's write into a caller's pipeline and return the pipeline.

    Raises:
        BackendError: when the pipeline is of no known kind.
        Exception: what the plan itself raises before it writes.
    """
    try:
        check_pipeline(pipeline)
    except BackendError:
        plan.close()
        raise
    if isinstance(pipeline, Pipeline):
        pipeline.enlist(plan)
    else:
        _queue(_started(plan, connection), pipeline)
    return pipeline


async def async_enlist(plan: Op[Any], pipeline: Any, connection: Connection) -> Any:
    """Put a plan's write into a caller's pipeline, as `enlist` does."""
    try:
        check_pipeline(pipeline)
    except BackendError:
        plan.close()
        raise
    if isinstance(pipeline, Pipeline):
        await pipeline.async_enlist(plan)
    else:
        _queue(await _astarted(plan, connection), pipeline)
    return pipeline


def check_pipeline(pipeline: Any) -> None:
    """Refuse what is no pipeline.

    Raises:
        BackendError: naming what can be given.
    """
    known = hasattr(pipeline, "execute_command") and hasattr(pipeline, "command_stack")
    if not isinstance(pipeline, Pipeline) and not (known and hasattr(pipeline, "response_callbacks")):
        raise BackendError(
            f"pipeline={pipeline!r} is no pipeline that operations can wait in: give connection.pipeline(), "
            "redis_client.pipeline() or valkey_client.pipeline()"
        )


def _queue(running: Running, pipeline: Any) -> None:
    """Queue a waiting plan's commands in a client's pipeline."""
    request = running.request
    if request is None:
        return
    settling = _Settling(running, request)
    _listen(pipeline)
    # The caller's own commands may stand before the first plan.
    if not len(pipeline.command_stack) or not hasattr(pipeline, "popoto_scripts"):
        pipeline.popoto_scripts = set()
    for at, step in enumerate(request.steps):
        for argv in lowered(step, pipeline.popoto_scripts):
            # The client looks its callbacks up by the name as text.
            words = (argv[0].decode(), *argv[1:])
            pipeline.response_callbacks.setdefault(words[0], partial(_settle, None))
            pipeline.execute_command(*words, **{_CALLBACK: partial(settling.take, at)})


class _Settling:
    """Collects the replies of one plan's request, then lets the plan go on."""

    def __init__(self, running: Running, request: Request) -> None:
        self._running = running
        self._steps: list[Step] = request.steps
        self._replies: dict[int, Any] = {}
        if any(not isinstance(step, Call) and not hasattr(step, "argv") for step in self._steps):
            raise PlanError("a transaction cannot wait in a client's pipeline: use connection.pipeline()")

    def take(self, at: int, raw: Any) -> Any:
        step = self._steps[at]
        self._replies[at] = raw if isinstance(raw, ReplyError) else step.shape(raw)  # type: ignore[union-attr]
        if len(self._replies) == len(self._steps):
            self._running.reply([self._replies[index] for index in range(len(self._steps))])
            if self._running.request is not None:
                self._running.fail(PlanError("an operation with a second step cannot wait in a client's pipeline"))
            return self._running.value()
        return raw


def _listen(pipeline: Any) -> None:
    """Let this one pipeline hand a reply to the plan that waits for it."""
    callbacks = pipeline.response_callbacks
    if getattr(callbacks, "popoto", False):
        return
    settling = {name: partial(_settle, callbacks.get(name)) for name in ("EVAL", "EVALSHA", *callbacks)}
    own = type(callbacks)(settling)
    own.popoto = True
    pipeline.response_callbacks = own


def _settle(original: Callable[..., Any] | None, raw: Any, **options: Any) -> Any:
    settle = options.pop(_CALLBACK, None)
    if settle is not None:
        return settle(raw)
    return raw if original is None else original(raw, **options)
