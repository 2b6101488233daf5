"""The pipeline that a field's hooks queue commands in; they join the step that saves or deletes the row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from popoto.exceptions import ModelException
from popoto.keys import DB_key
from popoto.storage import Command
from popoto.storage.steps import argument

# By the name of the client's method, the command whose first argument is its one key and whose others follow as given.
_FOLLOWING: Final = {
    "append": "APPEND",
    "decrby": "DECRBY",
    "expire": "EXPIRE",
    "expireat": "EXPIREAT",
    "hdel": "HDEL",
    "hincrby": "HINCRBY",
    "hincrbyfloat": "HINCRBYFLOAT",
    "hsetnx": "HSETNX",
    "incrby": "INCRBY",
    "incrbyfloat": "INCRBYFLOAT",
    "linsert": "LINSERT",
    "lpop": "LPOP",
    "lpush": "LPUSH",
    "lrem": "LREM",
    "lset": "LSET",
    "ltrim": "LTRIM",
    "persist": "PERSIST",
    "pexpire": "PEXPIRE",
    "pexpireat": "PEXPIREAT",
    "pfadd": "PFADD",
    "rpop": "RPOP",
    "rpush": "RPUSH",
    "sadd": "SADD",
    "setbit": "SETBIT",
    "setnx": "SETNX",
    "setrange": "SETRANGE",
    "srem": "SREM",
    "zincrby": "ZINCRBY",
    "zrem": "ZREM",
    "zremrangebyrank": "ZREMRANGEBYRANK",
    "zremrangebyscore": "ZREMRANGEBYSCORE",
}
_KEYS_ALONE: Final = {"delete": "DEL", "unlink": "UNLINK"}
_OTHERS: Final = ("GEOADD", "HSET", "SET", "XADD", "XTRIM", "ZADD")
_ONE_KEY: Final = frozenset([*_FOLLOWING.values(), *_OTHERS])
# unpack() in a script overflows near 8 000.
MOST_WORDS: Final = 2_000


class Recorder:
    """Takes commands under the names and parameters that the clients' pipelines have, and sends nothing.

    Keys are given without the store's own prefix, which is put in front: so they lie in the model's namespace and slot.
    Each method returns the pipeline. Commands that read are not taken: ask before, with a client.
    """

    def __init__(self, prefix: str, owner: str) -> None:
        self._prefix = prefix.encode()
        self._owner = owner
        self.commands: list[Command[Any]] = []

    def __getattr__(self, name: str) -> Any:
        if name in _FOLLOWING:
            return lambda *words: self.execute_command(_FOLLOWING[name], *words)
        if name in _KEYS_ALONE:
            return lambda *keys: self.execute_command(_KEYS_ALONE[name], *keys)
        if name.startswith("__"):
            raise AttributeError(name)
        raise ModelException(
            f"{self._owner}: {name!r} cannot wait in the step of a save; there are "
            f"{', '.join(sorted([*_FOLLOWING, *_KEYS_ALONE, 'geoadd', 'hset', 'incr', 'set', 'xadd', 'zadd']))}, "
            "and execute_command"
        )

    def execute_command(self, *words: Any) -> Self:
        """Queue a command by its name; its first argument is its one key, all are of DEL and UNLINK."""
        name, *rest = words
        command = (name.decode() if isinstance(name, bytes) else str(name)).upper()
        if command not in _ONE_KEY and command not in _KEYS_ALONE.values():
            raise ModelException(
                f"{self._owner}: {command} cannot wait in the step of a save: use one of "
                f"{', '.join(sorted([*_ONE_KEY, *_KEYS_ALONE.values()]))}"
            )
        if not rest or len(rest) >= MOST_WORDS:
            raise ModelException(
                f"{self._owner}: {command} has {len(rest)} arguments: give 1 to {MOST_WORDS - 1}, in several commands"
            )
        count = len(rest) if command in _KEYS_ALONE.values() else 1
        keys = [self._key(key) for key in rest[:count]]
        others = [_word(word) for word in rest[count:]]
        made = Command(command, *keys, *others, keys=keys, shape=lambda raw: raw, writes=True)
        self.commands.append(made)
        return self

    def _key(self, key: Any) -> bytes:
        return self._prefix + _word(key)

    # -- commands whose parameters have names

    def incr(self, name: Any, amount: int = 1) -> Self:
        """INCRBY."""
        return self.execute_command("INCRBY", name, amount)

    def set(self, name: Any, value: Any, ex: int | None = None, px: int | None = None) -> Self:
        """SET, with a time to live."""
        words = [word for pair in (("EX", ex), ("PX", px)) if pair[1] is not None for word in pair]
        return self.execute_command("SET", name, value, *words)

    def hset(self, name: Any, key: Any = None, value: Any = None, mapping: Mapping[Any, Any] | None = None) -> Self:
        """HSET of a field, or of a mapping."""
        pairs = {**({} if key is None else {key: value}), **(mapping or {})}
        return self.execute_command("HSET", name, *_flat(pairs.items()))

    def zadd(
        self,
        name: Any,
        mapping: Mapping[Any, Any],
        nx: bool = False,
        xx: bool = False,
        gt: bool = False,
        lt: bool = False,
    ) -> Self:
        """ZADD of scores by member."""
        flags = [word for word, wanted in (("NX", nx), ("XX", xx), ("GT", gt), ("LT", lt)) if wanted]
        return self.execute_command("ZADD", name, *flags, *_flat((score, member) for member, score in mapping.items()))

    def geoadd(self, name: Any, values: Iterable[Any]) -> Self:
        """GEOADD of longitude, latitude, member and so on."""
        return self.execute_command("GEOADD", name, *values)

    def xadd(
        self, name: Any, fields: Mapping[Any, Any], id: Any = "*", maxlen: int | None = None, approximate: bool = True
    ) -> Self:
        """XADD of an entry."""
        limit = [] if maxlen is None else ["MAXLEN", "~" if approximate else "=", maxlen]
        return self.execute_command("XADD", name, *limit, id, *_flat(fields.items()))


def _flat(pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    return [word for pair in pairs for word in pair]


def _word(word: Any) -> bytes:
    if isinstance(word, DB_key):
        word = word.redis_key
    return word.encode("utf-8", "surrogateescape") if isinstance(word, str) else argument(word)
