"""Connection URLs: their grammar, and their printable form without the password. Nothing here performs I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote

from popoto.exceptions import BadURL

GRAMMAR: Final = "<scheme>[+variant]://[user:password@]host[:port][,host...][/path][?option=value]"
_SCHEME: Final = re.compile(r"([a-z][a-z0-9]*)(?:\+([a-z][a-z0-9-]*))?:(.*)", re.DOTALL)
# Up to the last @: a password may hold any sign that its owner forgot to encode.
_SECRET: Final = re.compile(r"(//[^/@\s?#:]*:)(\S*)(@)")
_SECRET_OPTION: Final = re.compile(r"([?&;](?:password|ssl_keyfile_password|username)=)[^&\s]*")


def masked(text: str) -> str:
    """The text with every password of a URL in it replaced by `***`."""
    return _SECRET_OPTION.sub(r"\1***", _SECRET.sub(r"\1***\3", text))


@dataclass(frozen=True, slots=True, repr=False, eq=False, weakref_slot=True)
class URL:
    """A parsed connection URL; its repr and str show no password.

    Each is itself and equals no other, so that a backend can keep a private store for a connection's URL.

    Attributes:
        scheme: the plug-in's name, as `redis`.
        variant: what follows `+`, as `cluster`, or "".
        hosts: `(host, port)` pairs, port None where the default is meant.
        username, password: percent-decoded, or None.
        path: what follows the hosts, percent-decoded, without its leading slash where hosts are given.
        options: the query.
        raw: the text as it was given.
    """

    scheme: str
    variant: str
    hosts: tuple[tuple[str, int | None], ...]
    username: str | None
    password: str | None
    path: str
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    raw: str = ""

    def __str__(self) -> str:
        return masked(self.raw)

    def __repr__(self) -> str:
        return f"<URL {self}>"


def parse(text: str) -> URL:
    """Parse a connection URL.

    Raises:
        BadURL: saying what is wrong, and the grammar.
    """
    if not isinstance(text, str) or not text.strip():
        raise BadURL(f"a connection URL is a text like {GRAMMAR}, not {text!r}")
    match = _SCHEME.fullmatch(text.strip())
    if match is None:
        raise BadURL(f"{masked(text)!r} is no connection URL: write {GRAMMAR}")
    scheme, variant, rest = match[1], match[2] or "", match[3]
    rest, _, query = rest.partition("?")
    options = MappingProxyType(dict(parse_qsl(query, keep_blank_values=True)))
    if not rest.startswith("//"):
        return URL(scheme, variant, (), None, None, unquote(rest), options, text)
    authority, slash, path = rest[2:].partition("/")
    login, at, hosts = authority.rpartition("@")
    username, password = _login(login) if at else (None, None)
    places = tuple(_host(host, text) for host in hosts.split(",") if host)
    path = unquote(path) if places or not slash else "/" + unquote(path)
    return URL(scheme, variant, places, username, password, path, options, text)


def _login(login: str) -> tuple[str | None, str | None]:
    username, colon, password = login.partition(":")
    return (unquote(username) or None, unquote(password) if colon else None)


def _host(text: str, url: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(.*))?", text)
    if match is None:
        raise BadURL(f"{masked(url)!r} names no valid host: write {GRAMMAR}")
    host = match[1].strip("[]")
    if match[2] is None:
        return host, None
    if not match[2].isascii() or not match[2].isdigit() or not 0 < int(match[2]) < 65_536:
        # What is no number may be a piece of a password with a / in it.
        port = f"the port {match[2]}" if match[2].isdigit() else "no number as its port"
        raise BadURL(f"{masked(url)!r} has {port}: give a number from 1 to 65535, and write / as %2F in a password")
    return host, int(match[2])
