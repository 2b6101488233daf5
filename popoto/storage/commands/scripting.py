"""Calls of named scripts; they need the capability `lua`, or a backend's own implementation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from popoto.storage.scripts import Script
from popoto.storage.steps import Arg, Call, Command

R = TypeVar("R")


def call(script: Script[R], keys: Sequence[Arg] = (), args: Sequence[Arg] = ()) -> Call[R]:
    """Run a named script."""
    return Call(script, keys, args)


def script_flush() -> Command[bool]:
    """Empty the server's script cache, as a restart does. For tests."""
    return Command("SCRIPT", "FLUSH", shape=bool, writes=True, needs="lua")


def script_exists(script: Script[R]) -> Command[bool]:
    """Whether the server has the script in its cache."""
    return Command("SCRIPT", "EXISTS", script.sha, shape=lambda raw: bool(raw[0]), needs="lua")
