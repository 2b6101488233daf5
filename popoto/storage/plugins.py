"""Backends as plug-ins: found through entry points, loaded when their scheme is asked for."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import pluggy

from popoto.exceptions import BackendError, BadURL
from popoto.storage import hookspecs
from popoto.storage.capabilities import CAPABILITIES
from popoto.storage.protocol import AsyncBackend, Backend, PluginInfo
from popoto.storage.urls import URL

GROUP = "popoto.backends"
_EXTRAS = {
    "valkey": "popoto[valkey]",
    "valkeys": "popoto[valkey]",
    "fake": "popoto[fake]",
    "memory": "popoto[fake]",
    "embedded": "popoto[embedded]",
}


_by_scheme: dict[str, ModuleType] = {}


@cache
def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("popoto")
    manager.add_hookspecs(hookspecs)
    if os.environ.get("POPOTO_TRACE_PLUGINS"):
        manager.trace.root.setwriter(print)
        manager.enable_tracing()
    return manager


def _disabled() -> set[str]:
    return {name.strip() for name in os.environ.get("POPOTO_DISABLE_PLUGINS", "").split(",")}


def _entry_points() -> dict[str, EntryPoint]:
    disabled = _disabled()
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in disabled}


def plugin(scheme: str) -> ModuleType:
    """The plug-in that answers to a scheme; only this one is imported.

    Raises:
        BadURL: when there is none, or it cannot be imported; says what to install.
    """
    # Looking through what is installed takes longer than a connection does.
    if scheme not in _by_scheme or scheme in _disabled():
        _by_scheme[scheme] = _installed(scheme)
    return _by_scheme[scheme]


def _installed(scheme: str) -> ModuleType:
    manager = _manager()
    points = _entry_points()
    point = points.get(scheme)
    if point is None:
        raise BadURL(
            f"no backend answers to {scheme!r}: there are {', '.join(sorted(points)) or 'none'}; "
            "install the plug-in that brings it"
        )
    module = _load(point)
    if not manager.is_registered(module):
        manager.register(module, name=module.__name__)
        manager.check_pending()
    return module


def _load(point: EntryPoint) -> ModuleType:
    try:
        module = point.load()
    except ImportError as error:
        remedy = f"pip install '{_EXTRAS[point.name]}'" if point.name in _EXTRAS else "repair or remove it"
        raise BadURL(f"the backend {point.name!r} cannot be imported ({error}): {remedy}") from error
    except Exception as error:
        raise BadURL(
            f"the backend {point.name!r} fails when it is imported ({error!r}): repair or remove it"
        ) from error
    if not isinstance(module, ModuleType):
        raise BadURL(f"the backend {point.name!r} names {module!r}: its entry point must name a module")
    return module


def register(module: ModuleType) -> None:
    """Register a plug-in that no entry point announces, as tests do."""
    if not _manager().is_registered(module):
        _manager().register(module, name=module.__name__)


def open_backend(url: URL) -> Backend:
    """Open the store of a URL.

    Raises:
        BadURL: when no plug-in wants it.
    """
    caller = _manager().subset_hook_caller("popoto_connect", _others(plugin(url.scheme)))
    backend = caller(url=url)
    if backend is None:
        raise BadURL(f"the backend {url.scheme!r} does not know how to open {url}")
    return backend  # type: ignore[no-any-return]


def open_async_backend(url: URL) -> AsyncBackend:
    """Open the store of a URL for the running event loop.

    Raises:
        BadURL: when the plug-in has no asyncio form.
    """
    caller = _manager().subset_hook_caller("popoto_aconnect", _others(plugin(url.scheme)))
    backend = caller(url=url)
    if backend is None:
        raise BadURL(f"the backend {url.scheme!r} has no asyncio form for {url}")
    return backend  # type: ignore[no-any-return]


def native_client(url: URL, backend: Backend) -> object:
    """The client object behind a backend."""
    caller = _manager().subset_hook_caller("popoto_native", _others(plugin(url.scheme)))
    return caller(backend=backend)


def conformance_facts(url: URL) -> dict[str, object]:
    """What a plug-in tells the conformance suite of itself."""
    caller = _manager().subset_hook_caller("popoto_conformance", _others(plugin(url.scheme)))
    return dict(caller(url=url) or {})


def _others(module: ModuleType) -> list[object]:
    """Every plug-in but this one: a URL is opened by the plug-in that its scheme names."""
    return [one for one in _manager().get_plugins() if one is not module]


def plugins() -> list[PluginInfo]:
    """Every installed backend plug-in; a broken one is listed with its error and harms no other."""
    schemes: dict[str, list[EntryPoint]] = {}
    for point in _entry_points().values():
        schemes.setdefault(point.value, []).append(point)
    return [_described(value, points) for value, points in sorted(schemes.items())]


def _described(name: str, points: list[EntryPoint]) -> PluginInfo:
    version = points[0].dist.version if points[0].dist else ""
    schemes = tuple(sorted(point.name for point in points))
    try:
        module = plugin(points[0].name)
        caller = _manager().subset_hook_caller("popoto_backend", _others(module))
        facts = caller() or {}
    except BackendError as error:
        return PluginInfo(name, version, schemes, frozenset(), str(error))
    claims = frozenset(facts.get("capabilities", ()))
    unknown = claims - CAPABILITIES.keys()
    error_text = f"claims unknown capabilities: {', '.join(sorted(unknown))}" if unknown else ""
    return PluginInfo(name, version, schemes, claims, error_text)
