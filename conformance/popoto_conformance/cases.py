"""Cases are plans, written once and run by both drivers; where a capability is declined, so is the case."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
import secrets
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, Protocol, TypeVar

import pytest

from popoto.exceptions import CapabilityError
from popoto.storage import AsyncSubscription, Connection, Message, Op, Subscription, ask, ask_all
from popoto.storage.commands.hashes import hget, hset
from popoto.storage.commands.keys import exists
from popoto.storage.plans import Request, Running
from popoto.storage.steps import Step, needed

R = TypeVar("R")
Plan = Callable[["Keys"], Op[None]]


_Skipped: Any = pytest.skip.Exception


class NotApplicable(_Skipped):  # type: ignore[misc]
    """A skip that the suite itself hands out; any other is a stray one and fails the run."""


def not_applicable(reason: str) -> NotApplicable:
    """The skip of a case that has no meaning for this backend."""
    return NotApplicable(f"not applicable: {reason}", _use_item_location=True)


class Keys:
    """Hands out keys under a random prefix with one hash tag, and remembers them, so that they can be deleted."""

    def __init__(self) -> None:
        self.prefix = b"popoto-conformance:{%s}:" % secrets.token_hex(6).encode()
        self.handed: dict[bytes, None] = {}

    def __call__(self, name: str | bytes = b"key") -> bytes:
        """The key of this name: always the same one within a case."""
        key = self.prefix + (name.encode() if isinstance(name, str) else name)
        self.handed[key] = None
        return key


def awaited(runner: asyncio.Runner, work: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine in the caller's context, so that round trips are counted where they are asked for."""
    return runner.run(work, context=contextvars.copy_context())


class Listener:
    """A subscription of either driver, with blocking calls."""

    def __init__(self, subscription: Subscription | AsyncSubscription, runner: asyncio.Runner) -> None:
        self._subscription = subscription
        self._runner = runner

    def _value(self, value: Any) -> Any:
        return awaited(self._runner, value) if inspect.iscoroutine(value) else value

    def get(self, timeout: float = 2.0) -> Message | None:
        """The next message."""
        message: Message | None = self._value(self._subscription.get(timeout))
        return message

    def close(self) -> None:
        """End the subscription."""
        self._value(self._subscription.close())


class Driver:
    """One of the two ways to run a plan."""

    def __init__(self, name: str, runner: asyncio.Runner) -> None:
        self.name = name
        self.runner = runner

    def run(self, connection: Connection, plan: Op[R]) -> R:
        """Run a plan to its end."""
        if self.name == "sync":
            return connection.run(plan)
        return awaited(self.runner, connection.arun(plan))

    def subscribe(self, connection: Connection, channels: Sequence[bytes], patterns: Sequence[bytes] = ()) -> Listener:
        """Subscribe through the connection's backend."""
        if self.name == "sync":
            return Listener(connection.backend.subscribe(channels, patterns), self.runner)

        async def subscribed() -> AsyncSubscription:
            return await (await connection.lane()).backend.subscribe(channels, patterns)

        return Listener(self.runner.run(subscribed()), self.runner)

    def close(self, connection: Connection) -> None:
        """Let go of the connections that this driver made."""
        if self.name == "sync":
            connection.close()
        else:
            self.runner.run(connection.aclose())


class Prover(Protocol):
    """The fixture that runs a case, in its declined form where it has to."""

    def __call__(self, plan: Plan, needs: tuple[str, ...]) -> None: ...


def case(*needs: str) -> Callable[[Plan], Callable[[Prover], None]]:
    """Make a plan that takes `k` a test of both drivers; `needs` are the capabilities that it is about."""

    def decorate(plan: Plan) -> Callable[[Prover], None]:
        @wraps(plan)
        def test(prove: Prover) -> None:
            __tracebackhide__ = True
            prove(plan, needs)

        # pytest reads the parameters from here, and the case's place in its file from the wrapped plan.
        parameter = inspect.Parameter("prove", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        test.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
        return pytest.mark.case(pytest.mark.needs(*needs)(test) if needs else test)

    return decorate


async def declined(plan: Op[None], missing: frozenset[str], k: Keys) -> None:
    """Run a plan up to the first step that needs what is not claimed, and prove that this step is refused whole.

    Raises:
        AssertionError: it was sent, or took a part of its batch along, or left the base unusable.
    """
    running = Running(plan)
    while running.request is not None:
        request: Request = running.request
        refused = [step for step in request.steps if needed(step) & missing]
        if refused:
            plan.close()
            await _refused(refused[0], k)
            return
        try:
            running.reply(await request)
        except Exception as error:
            running.fail(error)
    running.value()
    raise AssertionError(f"the case asked for nothing that needs {', '.join(sorted(missing))}")


async def _refused(step: Step, k: Keys) -> None:
    marker = k("declined")
    for batch in ([step], [hset(marker, {"f": "1"}), step], [step, hset(marker, {"f": "1"})]):
        try:
            replies = await ask_all(batch, errors="return")
        except CapabilityError as error:
            if not error.nothing_sent:
                raise AssertionError(f"{step!r} was refused after something had been sent") from error
        else:
            raise AssertionError(f"{step!r} needs what is not claimed, and answered {replies!r}")
    exactly(await ask(exists(marker)), False)
    await ask(hset(marker, {"f": "2"}))
    exactly(await ask(hget(marker, "f")), b"2")


def proved(driver: Driver, connection: Connection, k: Keys, plan: Plan, needs: tuple[str, ...]) -> None:
    """Run a case, or its declined form where the backend does not claim what it needs."""
    __tracebackhide__ = True
    missing = frozenset(needs) - connection.info.capabilities
    driver.run(connection, declined(plan(k), missing, k) if missing else plan(k))


def kinds(value: Any) -> Any:
    """The types in a reply, all the way down."""
    name = type(value).__name__
    if isinstance(value, list | tuple):
        return [name, *map(kinds, value)]
    if isinstance(value, dict):
        return [name, {key: (kinds(key), kinds(item)) for key, item in value.items()}]
    if isinstance(value, set | frozenset):
        return [name, {(type(item).__name__, item) for item in value}]
    return name


def exactly(actual: Any, expected: Any) -> None:
    """Assert equality, of types too: 1 is neither True nor 1.0, and a list is no tuple."""
    __tracebackhide__ = True
    if actual != expected:
        raise AssertionError(f"got {_short(actual)}, expected {_short(expected)}")
    if kinds(actual) != kinds(expected):
        raise AssertionError(f"got the types {_short(kinds(actual))}, expected {_short(kinds(expected))}")


def close_to(actual: Any, expected: float, *, part: float = 1e-9) -> None:
    """Assert that a reply is a float near a number, within a part of it."""
    __tracebackhide__ = True
    if type(actual) is not float or not math.isclose(actual, expected, rel_tol=part, abs_tol=part):
        raise AssertionError(f"got {actual!r}, expected a float near {expected!r}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 600 else f"{text[:500]} ... {text[-80:]}"
