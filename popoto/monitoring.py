"""Opt-in reports of popoto's own exceptions to a Sentry project that the application names."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, Final

from popoto.exceptions import (
    ModelException,
    PublisherException,
    QueryException,
    SkipSaveException,
    SubscriberException,
)

logger = logging.getLogger("popoto.monitoring")
REPORTED: Final = (ModelException, QueryException, PublisherException, SubscriberException)
_report: Callable[[BaseException], None] | None = None


def enable_error_reporting(dsn: str | None = None) -> None:
    """Report popoto's exceptions to Sentry whenever one is made, through a client apart from the application's own.

    Does nothing without a DSN or without the package sentry-sdk; never raises; a second call changes nothing.

    Args:
        dsn: the Sentry DSN; POPOTO_SENTRY_DSN unless given.
    """
    global _report
    dsn = dsn or os.environ.get("POPOTO_SENTRY_DSN")
    if not dsn or _report is not None:
        return
    try:
        _report = _reporter(dsn)
        for kind in REPORTED:
            _watch(kind)
    except ImportError:
        logger.info("errors are not reported: pip install 'popoto[monitoring]'")
    except Exception as error:
        logger.warning("errors are not reported: %s", error)


def _reporter(dsn: str) -> Callable[[BaseException], None]:
    sentry = import_module("sentry_sdk")
    described = import_module("sentry_sdk.utils").event_from_exception
    client = sentry.Client(
        dsn=dsn, default_integrations=False, auto_enabling_integrations=False, send_default_pii=False
    )

    def report(error: BaseException) -> None:
        # An empty scope: the application's tags and user stay its own.
        event, hint = described(error, client_options=client.options)
        client.capture_event(event, hint=hint, scope=sentry.Scope())

    return report


def _watch(kind: type[Exception]) -> None:
    original: Callable[..., None] = kind.__init__

    @wraps(original)
    def watched(self: Exception, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        _notice(self)

    setattr(kind, "__init__", watched)  # noqa: B010 - a method is no variable for a checker


def _notice(error: Exception) -> None:
    if _report is None or isinstance(error, SkipSaveException):
        return
    try:
        _report(error)
    except Exception as failure:
        logger.debug("an error was not reported: %s", failure)
