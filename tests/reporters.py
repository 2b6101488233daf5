"""Processes that report outcomes of one row at the same time."""

from __future__ import annotations

import multiprocessing
from typing import Any, Final

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    KeyField,
    Model,
    ObservationProtocol,
    PredictionLedgerMixin,
    using,
)
from popoto.storage import Connection

PROCESSES: Final = 8
REPORTS: Final = 20


class Reported(AccessTrackerMixin, PredictionLedgerMixin, Model):
    """A row on which outcomes have effects."""

    name = KeyField()
    certainty = ConfidenceField()


def report(urls: list[str], number: int, barrier: Any, replies: Any) -> None:
    """On one server after the other, read the row, act on it, report that twice, and doubt it; again and again."""
    for url in urls:
        connection = Connection(url)
        with using(connection):
            row = Reported.query.no_track().get(name="a")
            assert row is not None
            barrier.wait(60)
            for count in range(REPORTS):
                row.on_read()
                Reported.record_prediction(row, {"a": number})
                for _ in range(2):
                    ObservationProtocol.on_context_used([row], {row.pk: "acted"}, outcome_id=f"{number} {count}")
                ConfidenceField.update_confidence(row, "certainty", 0.1)
            # Reads that another process staged after this one's last report.
            row.confirm_access()
        connection.close()
    replies.put(True)


def at_once(urls: list[str]) -> list[Any]:
    """Run the reporters, released together, and give what they returned."""
    context = multiprocessing.get_context("spawn")
    barrier, replies = context.Barrier(PROCESSES), context.Queue()
    workers = [context.Process(target=report, args=(urls, number, barrier, replies)) for number in range(PROCESSES)]
    for worker in workers:
        worker.start()
    results = [replies.get(timeout=100) for _ in workers]
    for worker in workers:
        worker.join(30)
    return results
