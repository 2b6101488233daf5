"""What the pytest plug-in does once tests use models: a store of their own, empty before each test.

The hooks and fixtures are in `popoto.pytest_plugin`, which pytest loads everywhere and which imports no models.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from popoto.models import Model
from popoto.storage import URL, Connection, connection, reset, set_connection
from popoto.testing import empty, has_databases, named_db, number, place

PRIVATE: Final = "fake://"
MARKER: Final = "popoto:test-database"
DEFAULT_DB: Final = "15"


@dataclass(frozen=True, slots=True)
class Settings:
    """What was configured for a test run; "" where nothing was.

    Attributes:
        db_variable: POPOTO_TEST_DB.
        db_option: the ini option `popoto_test_db`, where it is written.
        url: POPOTO_TEST_URL, else the ini option `popoto_test_url`.
        worker: the name of this pytest-xdist worker.
    """

    db_variable: str = ""
    db_option: str = ""
    url: str = ""
    worker: str = ""

    @classmethod
    def read(cls, options: Mapping[str, str]) -> Settings:
        """The settings of the environment and of the ini options that are written."""
        variable = os.environ.get
        return cls(
            variable("POPOTO_TEST_DB", "").strip(),
            options.get("popoto_test_db", "").strip(),
            variable("POPOTO_TEST_URL", "").strip() or options.get("popoto_test_url", "").strip(),
            variable("PYTEST_XDIST_WORKER", ""),
        )

    def db(self, url: URL | None = None) -> int:
        """The database: POPOTO_TEST_DB, that of the URL, popoto_test_db, 15.

        Raises:
            ValueError: for 0, and for what is no integer.
        """
        if self.db_variable:
            return number(self.db_variable, "POPOTO_TEST_DB")
        if url is not None and named_db(url):
            return number(named_db(url), f"the database of {url}")
        return number(self.db_option or DEFAULT_DB, "popoto_test_db")


class Isolation:
    """The store of a test run, in the place of every connection that models use, until the run ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._before: dict[str, Connection | None] = {}
        self._shared: Connection | None = None
        self._whole = False
        self._test: object = None
        self.connection: Connection | None = None

    def begin(self, test: object) -> Connection:
        """Give a test an empty store, once, and return its connection.

        Raises:
            ValueError: when the configured database is refused.
            RuntimeError: when it holds data that no test run has written.
        """
        if self._test is not test or self.connection is None:
            self.connection = self._empty_store()
            self._test = test
            self._put(self.connection)
        return self.connection

    def finish(self) -> None:
        """Empty the store and put the connections back that were there before."""
        try:
            if self._shared is not None and _is_ours(self._shared):
                empty(self._shared, whole=self._whole)
                self._shared.close()
        finally:
            for name, before in self._before.items():
                reset(name)
                if before is not None:
                    set_connection(before, name=name)
            self._before.clear()

    def _empty_store(self) -> Connection:
        settings = self._settings
        asked = settings.url or settings.db_variable or settings.db_option
        here = self._shared or (self._opened() if asked else None)
        if here is None:
            return Connection(PRIVATE, source="popoto's pytest plug-in")
        _claim(here)
        # Only what was claimed is emptied, now and in the end.
        self._shared = here
        empty(here, whole=self._whole)
        if self._whole:
            _claim(here)
        return here

    def _opened(self) -> Connection | None:
        settings = self._settings
        url = Connection(settings.url).url if settings.url else connection().url
        if settings.url and url.scheme in ("fake", "memory") and not (url.hosts or url.path.strip("/")):
            return None
        named = url if settings.url and has_databases(url) else None
        found = place(url, settings.db(named), settings.worker)
        self._whole = found.whole
        return Connection(found.url, source="popoto's pytest plug-in")

    def _put(self, made: Connection) -> None:
        for name in _names(Model.__subclasses__()) | {"default"}:
            before = set_connection(made, name=name)
            self._before.setdefault(name, before)


def _is_ours(here: Connection) -> bool:
    """Whether all that a connection sees belongs to tests: by its mark, or by a namespace made for them."""
    return not has_databases(here.url) or bool(here.native.exists(MARKER))


def _claim(here: Connection) -> None:
    """Mark a server's database as the tests' own.

    Raises:
        RuntimeError: when it holds anything else; it is left as it is.
    """
    # In this order: another worker of this run sets the mark before it writes anything.
    size = here.native.dbsize() if has_databases(here.url) else 0
    if size and not _is_ours(here):
        raise RuntimeError(
            f"{here.url} holds {size} keys and is not marked as a test database of popoto's, so it was left as it "
            "is: choose another with POPOTO_TEST_DB, popoto_test_db or POPOTO_TEST_URL; or, when all in it may be "
            f"deleted, set the key {MARKER!r} there"
        )
    if has_databases(here.url):
        here.native.set(MARKER, "1")


def _names(models: Iterable[Any]) -> set[str]:
    """The connections that models name."""
    found: set[str] = set()
    for model in models:
        found |= {model._meta.connection} - {None} | _names(model.__subclasses__())
    return found


class FrozenClock:
    """A clock that stands still; call it for the time.

    Attributes:
        now: Unix seconds; assign to move it.
    """

    def __init__(self, now: float | None = None) -> None:
        self.now = time.time() if now is None else now

    def __call__(self) -> float:
        return self.now

    def __repr__(self) -> str:
        return f"<FrozenClock {self.now!r}>"

    def tick(self, seconds: float) -> float:
        """Move the clock on and return the new time."""
        self.now += seconds
        return self.now
