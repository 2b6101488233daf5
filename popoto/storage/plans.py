"""Plans: operations as coroutines that await nothing but steps. Nothing here performs I/O or knows an event loop.

A driver runs a plan: it sends what the plan asks for and gives it the replies. One body of code so serves blocking
callers, asyncio, bulk batches and a caller's pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar, overload

from popoto.exceptions import PlanError, ReplyError
from popoto.storage.layouts import Layout
from popoto.storage.steps import Call, Command, Refused, Reply, Step, Txn

R = TypeVar("R")
T = TypeVar("T")
Op: TypeAlias = Coroutine["Request", Any, R]
"""An operation that has been built and not yet run."""


class Request:
    """What a plan waits for: replies to steps, the layout of the store, or some slow local work."""

    __slots__ = ("effect", "item", "kind", "steps", "work")

    def __init__(
        self,
        kind: Literal["steps", "layout", "effect"],
        steps: Sequence[Step] = (),
        effect: Callable[[], Any] | None = None,
        work: Callable[[list[Any]], Sequence[Any]] | None = None,
        item: Any = None,
    ) -> None:
        self.kind = kind
        self.steps = list(steps)
        self.effect = effect if work is None else partial(_alone, work, item)
        self.work = work
        self.item = item

    @property
    def writes(self) -> bool:
        return any(step.writes for step in self.steps)

    def __await__(self) -> Generator[Request, Any, Any]:
        return (yield self)


_LAYOUT = Request("layout")


@overload
async def ask(step: Command[R]) -> R: ...
@overload
async def ask(step: Call[R]) -> R: ...
@overload
async def ask(step: Txn) -> list[Any] | Refused: ...
async def ask(step: Command[R] | Call[R] | Txn) -> R | list[Any] | Refused:
    """Run one step and return its reply; a transaction's are a list, or `Refused`.

    Raises:
        ReplyError: what the server answered.
    """
    replies = await Request("steps", (step,))
    reply = replies[0]
    if isinstance(reply, ReplyError):
        raise reply
    if isinstance(step, Txn) and not isinstance(reply, Refused):
        return list(reply.replies)
    return reply  # type: ignore[no-any-return]


async def ask_all(steps: Sequence[Step], *, errors: Literal["raise", "return"] = "raise") -> list[Reply]:
    """Run steps in one round trip and return their replies in order.

    Raises:
        ReplyError: the first error, after all steps have run, unless errors are to be returned in their places.
    """
    if not steps:
        return []
    replies: list[Reply] = await Request("steps", steps)
    if errors == "raise":
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise reply
    return replies


async def layout() -> Layout:
    """How this store's keys are spelled: known without a round trip."""
    return await _LAYOUT  # type: ignore[no-any-return]


async def effect(work: Callable[[], T]) -> T:
    """Do slow local work (a file, an embedding provider); the asyncio driver hands it to a thread."""
    return await Request("effect", effect=work)  # type: ignore[no-any-return]


async def shared(work: Callable[[list[T]], Sequence[R | Exception]], item: T) -> R:
    """Do slow local work on one item; plans that run together have it done once, on all their items.

    Args:
        work: takes items and gives what came of each, in their order; an exception is raised in the item's plan.
        item: this plan's.
    """
    return await Request("effect", work=work, item=item)  # type: ignore[no-any-return]


def _alone(work: Callable[[list[Any]], Sequence[Any]], item: Any) -> Any:
    (outcome,) = work([item])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class Running:
    """A plan under way: what it asks for now, or what it has returned.

    Attributes:
        request: what the plan waits for; None when it has ended.
        result: what it returned.
        error: what it raised.
    """

    __slots__ = ("_plan", "error", "request", "result")

    def __init__(self, plan: Op[Any]) -> None:
        self._plan = plan
        self.request: Request | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.advance(plan.send, None)

    def reply(self, value: Any) -> None:
        """Give the plan what it waits for."""
        self.advance(self._plan.send, value)

    def fail(self, error: BaseException) -> None:
        """Raise an error where the plan waits."""
        self.advance(self._plan.throw, error)

    def advance(self, step: Callable[[Any], Request], value: Any) -> None:
        self.request = None
        try:
            request = step(value)
        except StopIteration as stop:
            self.result = stop.value
        except BaseException as error:
            self.error = error
            if not isinstance(error, Exception):
                raise
        else:
            if not isinstance(request, Request):
                self._plan.close()
                self.error = PlanError(f"a plan may only await steps, not {request!r}")
            else:
                self.request = request

    def value(self) -> Any:
        """What the plan returned.

        Raises:
            Exception: what the plan raised.
        """
        if self.error is not None:
            raise self.error
        return self.result


async def together(plans: Sequence[Op[T]], *, errors: Literal["raise", "return"] = "raise") -> list[T | Any]:
    """Run plans side by side, merging what they ask for at the same time into one batch.

    With `errors="return"` an exception stands in the place of its plan's result; otherwise the first is raised when
    all have ended.
    """
    return await together_running([Running(plan) for plan in plans], errors=errors)


async def together_running(running: Sequence[Running], *, errors: Literal["raise", "return"] = "raise") -> list[Any]:
    """Take plans that are under way to their ends, as `together` does."""
    while True:
        waiting = [one for one in running if one.request is not None]
        if not waiting:
            break
        await _serve(waiting)
    if errors == "return":
        return [one.error if one.error is not None else one.result for one in running]
    return [one.value() for one in running]


async def _serve(waiting: list[Running]) -> None:
    asking, working = [], []
    for one in waiting:
        request = one.request
        if request is not None and request.kind == "steps":
            asking.append((one, request))
        elif request is not None:
            working.append((one, request))
    if working:
        # Those that can go on without the store do, until all ask: then they ask together.
        await _work(working)
        return
    try:
        replies = await Request("steps", [step for _, request in asking for step in request.steps])
    except Exception as error:
        for one, _ in asking:
            one.fail(error)
        return
    start = 0
    for one, request in asking:
        end = start + len(request.steps)
        one.reply(replies[start:end])
        start = end


async def _work(working: list[tuple[Running, Request]]) -> None:
    """Do local work; what may be shared waits until all who will share it are there."""
    alone = [(one, request) for one, request in working if request.work is None]
    for one, request in alone:
        try:
            reply = await request
        except Exception as error:
            one.fail(error)
        else:
            one.reply(reply)
    if alone:
        return
    groups: dict[Any, list[tuple[Running, Any]]] = {}
    for one, request in working:
        groups.setdefault(request.work, []).append((one, request.item))
    for work, riders in groups.items():
        try:
            outcomes = await effect(partial(work, [item for _, item in riders]))
        except Exception as error:
            outcomes = [error] * len(riders)
        for (one, _), outcome in zip(riders, outcomes, strict=True):
            if isinstance(outcome, Exception):
                one.fail(outcome)
            else:
                one.reply(outcome)
