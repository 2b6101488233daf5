"""A server's error texts as exceptions: classified by code, never by wording. Nothing here performs I/O."""

from __future__ import annotations

import re
from typing import Final

from popoto.exceptions import Busy, Denied, OutOfMemory, ReadOnly, ReplyError, ScriptError, WrongType

_CLASSES: Final[dict[str, type[ReplyError]]] = {
    "WRONGTYPE": WrongType,
    "READONLY": ReadOnly,
    "OOM": OutOfMemory,
    "NOPERM": Denied,
    "NOAUTH": Denied,
    "WRONGPASS": Denied,
    "LOADING": Busy,
    "BUSY": Busy,
    "MASTERDOWN": Busy,
    "TRYAGAIN": Busy,
    "CLUSTERDOWN": Busy,
    "SCRIPT": ScriptError,
}
_CODE: Final = re.compile(r"^-?\s*([A-Z][A-Z0-9_]*)[ :]?\s*(.*)", re.DOTALL)
# Redis 6.2 wraps an error that is raised inside a script, and so hides its code in the text.
_IN_SCRIPT: Final = re.compile(r"^(?:ERR )?Error (?:running|compiling) script[^@]*(?:@\w+:\s*\d+:\s*)*(.*)$", re.DOTALL)
_CLIENT_CODES: Final[dict[str, str]] = {
    "NoScriptError": "NOSCRIPT",
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "OutOfMemoryError": "OOM",
    "NoPermissionError": "NOPERM",
    "AuthenticationError": "WRONGPASS",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "AskError": "ASK",
    "TryAgainError": "TRYAGAIN",
    "ClusterDownError": "CLUSTERDOWN",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ExecAbortError": "EXECABORT",
}


def is_reply(class_name: str) -> bool:
    """Whether a client's exception of this class is the server's answer, though it may be a connection error too."""
    return class_name in _CLIENT_CODES


def reply_error(text: str, class_name: str = "") -> ReplyError:
    """The error of a server's message; clients that strip the code keep it in their class's name."""
    text = text.strip()
    inner = _IN_SCRIPT.match(text)
    if inner:
        return _from_script(inner[1])
    known = _CLIENT_CODES.get(class_name)
    match = _CODE.match(text)
    if known and (match is None or match[1] != known):
        return _made(known, text)
    if match is None or len(match[1]) < 2:
        return _made("ERR", text)
    return _made(match[1], match[2])


def _from_script(inner: str) -> ReplyError:
    match = _CODE.match(inner)
    if match and (match[1] in _CLASSES or match[1] in _CLIENT_CODES.values()):
        return _made(match[1], match[2])
    return _made("SCRIPT", inner)


def _made(code: str, text: str) -> ReplyError:
    if code == "ERR" and ("user_script" in text or "script: " in text):
        return ScriptError(code, text)
    # Redis 7 and later end an error of a command inside a script with where it happened.
    text = re.sub(r"\s*script: [0-9a-f]{40}, on @\w+:\d+\.$", "", text)
    return _CLASSES.get(code, ReplyError)(code, text)
