"""Error reports: nothing without a DSN, a client apart from the application's, and never an error of their own."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

import popoto
from popoto import KeyField, Model, monitoring
from popoto.configuration import Configuration, configuration, configure
from popoto.embeddings.hashing import HashingProvider
from popoto.exceptions import ModelException, PublisherException, QueryException, SkipSaveException, SubscriberException
from popoto.stores import FilesystemStore

DSN = "https://key@sentry.example/1"


class FakeSentry(types.ModuleType):
    """As much of sentry_sdk as is used; `init` is not."""

    def __init__(self) -> None:
        super().__init__("sentry_sdk")
        self.made: list[dict[str, Any]] = []
        self.events: list[Any] = []
        self.scopes: list[Any] = []
        self.broken = False

    def Client(self, **options: Any) -> FakeSentry:
        self.made.append(options)
        return self

    def Scope(self) -> object:
        return object()

    options: ClassVar[dict[str, Any]] = {}

    def capture_event(self, event: Any, hint: Any = None, scope: Any = None) -> None:
        if self.broken:
            raise OSError("no network")
        self.events.append(event)
        self.scopes.append(scope)

    def init(self, *args: Any) -> None:
        raise AssertionError("the application's own client")


class Thing(Model):
    name = KeyField()


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSentry]:
    made = FakeSentry()
    details = types.ModuleType("sentry_sdk.utils")
    details.event_from_exception = lambda error, client_options: (error, {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentry_sdk", made)
    monkeypatch.setitem(sys.modules, "sentry_sdk.utils", details)
    monkeypatch.delenv("POPOTO_SENTRY_DSN", raising=False)
    monkeypatch.setattr(monitoring, "_report", None)
    for kind in monitoring.REPORTED:
        # Set and taken away again, so that what the test makes of it goes with the test.
        monkeypatch.setattr(kind, "__init__", kind.__init__)
    yield made


def test_nothing_is_built_without_a_dsn(sentry: FakeSentry) -> None:
    popoto.enable_error_reporting()
    ModelException("x")
    assert (sentry.made, sentry.events) == ([], [])


def test_each_of_popotos_exceptions_is_reported_once(sentry: FakeSentry, fake: Any) -> None:
    popoto.enable_error_reporting(DSN)
    popoto.enable_error_reporting(DSN)
    assert sentry.made == [
        {"dsn": DSN, "default_integrations": False, "auto_enabling_integrations": False, "send_default_pii": False}
    ]
    made = [ModelException("m"), QueryException("q"), PublisherException("p"), SubscriberException("s")]
    assert sentry.events == made
    # D15: the exception that queries raise is the one that is reported.
    with pytest.raises(QueryException) as caught:
        list(Thing.query.filter(nope=1))
    assert sentry.events[4:] == [caught.value]
    mutated = popoto.KeyMutationError("k")
    assert sentry.events[-1] is mutated


def test_the_dsn_may_come_from_the_environment(sentry: FakeSentry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPOTO_SENTRY_DSN", DSN)
    popoto.enable_error_reporting()
    assert [one["dsn"] for one in sentry.made] == [DSN]


def test_what_is_no_error_is_not_reported(sentry: FakeSentry) -> None:
    popoto.enable_error_reporting(DSN)
    SkipSaveException("asked for")
    ValueError("the application's")
    assert sentry.events == []


def test_reporting_never_raises(sentry: FakeSentry, monkeypatch: pytest.MonkeyPatch) -> None:
    popoto.enable_error_reporting(DSN)
    sentry.broken = True
    assert str(ModelException("still itself")) == "still itself"


def test_a_bad_dsn_or_a_missing_package_is_no_error(
    sentry: FakeSentry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(FakeSentry, "Client", None)
    popoto.enable_error_reporting(DSN)
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    popoto.enable_error_reporting(DSN)
    assert (str(ModelException("x")), len(caplog.messages)) == ("x", 1)


# popoto.configure


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*Configuration.__slots__, "content_path"):
        monkeypatch.setattr(configuration, name, None)
    monkeypatch.delenv("POPOTO_CONTENT_PATH", raising=False)


def test_configure_keeps_what_it_is_not_given(unset: None) -> None:
    provider, store = HashingProvider(), FilesystemStore()
    popoto.configure(embedding_provider=provider)
    configure(content_store=store)
    assert (configuration.embedding_provider, configuration.content_store) == (provider, store)


def test_the_content_folder_is_configured_or_of_the_environment(
    unset: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    assert configuration.content_folder.parts[-2:] == (".popoto", "content")
    monkeypatch.setenv("POPOTO_CONTENT_PATH", str(tmp_path / "env"))
    assert configuration.content_folder == tmp_path / "env"
    configure(content_path=tmp_path / "set")
    assert configuration.content_folder == tmp_path / "set"
