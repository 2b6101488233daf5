"""The waist: everything that popoto does to a store goes through here."""

from popoto.storage.capabilities import CAPABILITIES, Info
from popoto.storage.clients import Client
from popoto.storage.connections import Connection, connect, connection, reset, set_connection, using
from popoto.storage.counting import RoundTrips, round_trips
from popoto.storage.hookspecs import hookimpl
from popoto.storage.layouts import Layout
from popoto.storage.pipelines import Pipeline, async_enlist, enlist
from popoto.storage.plans import Op, ask, ask_all, effect, layout, shared, together
from popoto.storage.plugins import open_async_backend, open_backend, plugins
from popoto.storage.protocol import (
    PROTOCOL,
    AsyncBackend,
    AsyncSubscription,
    AsyncWire,
    Backend,
    Message,
    PluginInfo,
    Subscription,
    Wire,
)
from popoto.storage.resp import AsyncRespBackend, RespBackend
from popoto.storage.scripts import Script
from popoto.storage.steps import Applied, Batch, Call, Command, Guard, Refused, Reply, Step, Txn
from popoto.storage.urls import URL, masked
from popoto.storage.wires import AsyncPoolWire, Family, PoolWire

__all__ = [
    "CAPABILITIES",
    "PROTOCOL",
    "URL",
    "Applied",
    "AsyncBackend",
    "AsyncPoolWire",
    "AsyncRespBackend",
    "AsyncSubscription",
    "AsyncWire",
    "Backend",
    "Batch",
    "Call",
    "Client",
    "Command",
    "Connection",
    "Family",
    "Guard",
    "Info",
    "Layout",
    "Message",
    "Op",
    "Pipeline",
    "PluginInfo",
    "PoolWire",
    "Refused",
    "Reply",
    "RespBackend",
    "RoundTrips",
    "Script",
    "Step",
    "Subscription",
    "Txn",
    "Wire",
    "ask",
    "ask_all",
    "async_enlist",
    "connect",
    "connection",
    "effect",
    "enlist",
    "hookimpl",
    "layout",
    "masked",
    "open_async_backend",
    "open_backend",
    "plugins",
    "reset",
    "round_trips",
    "set_connection",
    "shared",
    "together",
    "using",
]
