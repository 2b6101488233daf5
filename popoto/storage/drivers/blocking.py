"""The driver for blocking callers."""

from __future__ import annotations

from typing import Any, TypeVar

from popoto.storage.counting import count_round_trip
from popoto.storage.layouts import PLAIN, Layout, of_server
from popoto.storage.plans import Op, Request, Running
from popoto.storage.protocol import Backend

R = TypeVar("R")


def run(plan: Op[R], backend: Backend, layout: Layout = PLAIN) -> R:
    """Run a plan to its end and return its result."""
    running = Running(plan)
    while running.request is not None:
        try:
            reply = serve(running.request, backend, layout)
        except Exception as error:
            running.fail(error)
        else:
            running.reply(reply)
    return running.value()  # type: ignore[no-any-return]


def serve(request: Request, backend: Backend, layout: Layout) -> Any:
    """Do what a plan asks for once."""
    if request.kind == "layout":
        return of_server(layout, backend.info.capabilities)
    if request.effect is not None:
        return request.effect()
    count_round_trip()
    return backend.execute(request.steps)
