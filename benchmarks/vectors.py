"""Search by meaning over many vectors, beside a bare numpy product: `python benchmarks/vectors.py URL --count 100000`.

It prints the times of a search, of a save among few rows and many, of reading all vectors, and whether another process
finds a new row in its next search. The database must be empty, and is emptied again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import popoto
from popoto import EmbeddingField, Field, KeyField, Model
from popoto.embeddings import AbstractEmbeddingProvider
from popoto.fields.embedding_field import invalidate_cache
from popoto.fields.embedding_field.matrix import Wish

DIMENSIONS = 384


class Dice(AbstractEmbeddingProvider):
    """Vectors by chance, the same for the same text; they cost nothing that a model would."""

    model = "dice"

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    @property
    def max_batch_size(self) -> int:
        return 10_000

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        return [
            np.random.default_rng(int(text.split()[-1])).standard_normal(DIMENSIONS, dtype=np.float32).tolist()
            for text in texts
        ]


class Passage(Model):
    """A row with a vector."""

    name = KeyField()
    text = Field()
    vector = EmbeddingField(source="text")


def seconds(work: Callable[[], Any], times: int) -> float:
    """The median time of a piece of work."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def bare(matrix: Any, vector: Any) -> Any:
    """What a search cannot do without."""
    scores = matrix @ vector
    best = np.argpartition(scores, -10)[-10:]
    return best[np.argsort(-scores[best])]


def saving(first: int) -> str:
    """What a save of a new row costs: the median time, the provider's included, and the server's own."""
    numbers = iter(range(first, first + 500))
    server = popoto.connection().native

    def save() -> None:
        number = next(numbers)
        Passage.create(name=f"new {number}", text=f"text {number}")

    save()
    server.config_resetstat()
    taken = seconds(save, 499)
    stats = server.info("commandstats")
    own = sum(one["usec"] for name, one in stats.items() if name in ("cmdstat_evalsha", "cmdstat_hmget"))
    return f"{taken * 1e6:.0f} us, {own / 499:.0f} of them the server's"


def measured(url: str, count: int) -> None:
    """Print everything."""
    Passage.bulk_create([Passage(name=str(number), text=f"text {number}") for number in range(1000)])
    few = saving(10_000_000)
    begun = time.perf_counter()
    for start in range(1000, count, 10_000):
        some = range(start, min(start + 10_000, count))
        Passage.bulk_create([Passage(name=str(number), text=f"text {number}") for number in some])
    print(f"bulk_create    {count - 1000:,} rows in {time.perf_counter() - begun:.1f} s")
    many = saving(20_000_000)
    print(f"save           among 1,000 rows {few}; among {count:,} {many}")
    cold = seconds(lambda: (invalidate_cache(), Passage.query.semantic_search("text 5", limit=1)), 3)
    print(f"cold load      {cold:.2f} s, {cold / count * 1e6:.1f} us a vector")
    matrix, _ = EmbeddingField.load_embeddings(Passage)
    vector = matrix[7].copy()
    here = popoto.connection()
    field: Any = Passage._meta.fields["vector"]
    ours = here.run(field.current(Passage))
    pairs = [
        (seconds(lambda: bare(matrix, vector), 1), seconds(lambda: ours.best(Wish(vector), 10), 1)) for _ in range(60)
    ]
    floor, best = (median(times) for times in zip(*pairs, strict=True))
    print(f"product        bare {floor * 1e3:.2f} ms, ours {best * 1e3:.2f} ms: {best / floor:.2f} times")
    whole = seconds(lambda: Passage.query.semantic_search("text 7", limit=10), 30)
    print(f"search         {whole * 1e3:.2f} ms with two round trips and ten rows: {whole / floor:.2f} times")
    print(f"other process  {other_process(url)}")


CHILD = """
import sys
sys.path.insert(0, {folder!r})
import popoto
from vectors import Dice, Passage
popoto.connect({url!r})
popoto.configure(embedding_provider=Dice())
for line in sys.stdin:
    print([row.name for row in Passage.query.semantic_search(line, limit=1)], flush=True)
"""


def other_process(url: str) -> str:
    """What another process finds for a text before and after a row with it is saved."""
    code = CHILD.format(folder=__file__.rpartition("/")[0], url=url)
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None

        def asked() -> str:
            child.stdin.write("text 77777777\n")
            child.stdin.flush()
            return child.stdout.readline().strip()

        before = asked()
        Passage.create(name="just saved", text="text 77777777")
        return f"found {before}, then {asked()}"


def main() -> None:
    """Measure on an empty database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--count", type=int, default=100_000)
    given = parser.parse_args()
    here = popoto.connect(given.url)
    popoto.configure(embedding_provider=Dice())
    if here.native.dbsize():
        sys.exit(f"{given.url} is not empty: name a database that is")
    print(here.info.server, here.info.version)
    try:
        measured(given.url, given.count)
    finally:
        here.native.flushdb()


if __name__ == "__main__":
    main()
