"""What keyword search, filters and sketches cost a server: processor time and bytes by INFO, and error rates.

    python benchmarks/text.py [URL] [ROWS ...]

The URL is `embedded::memory:` by default, the numbers of rows 1,000, 10,000 and 100,000. Nothing here is asserted.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import popoto
from popoto import BM25Field, ExistenceFilter, Field, FrequencySketch, IndexedField, KeyField, Model

VOCABULARY = 20_000
RARE = "platypus"


class Document(Model):
    """A text of about 20 words, one of which all have."""

    name = KeyField()
    agent = IndexedField()
    text = Field(max_length=None)
    words = BM25Field(source="text")


class Page(Model):
    """A text of any length."""

    name = KeyField()
    text = Field(max_length=None)
    words = BM25Field(source="text")


class Plain(Model):
    """The same without an index."""

    name = KeyField()
    text = Field(max_length=None)


class Known(Model):
    """Rows that are known to a filter and a sketch."""

    name = KeyField()
    bloom = ExistenceFilter(capacity=100_000)
    seen = FrequencySketch(width=200_000)


class Server:
    """A server's processor time and traffic."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def facts(self) -> tuple[float, int, int]:
        """Seconds, bytes received and bytes sent so far."""
        cpu, stats = self.client.info("cpu"), self.client.info("stats")
        seconds = float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])
        return seconds, int(stats["total_net_input_bytes"]), int(stats["total_net_output_bytes"])

    def cost(self, work: Callable[[], Any], times: int) -> str:
        """Milliseconds and bytes of one run of the work, less what asking for them takes."""
        work()
        empty = [self.facts() for _ in range(2)]
        before = self.facts()
        for _ in range(times):
            work()
        after = self.facts()
        seconds, received, sent = (
            (after[place] - before[place] - (empty[1][place] - empty[0][place])) / times for place in range(3)
        )
        return f"{seconds * 1e3:9.2f} ms  {received:7.0f} B in  {sent:7.0f} B out"


def texts(rows: int) -> list[str]:
    """Texts of 8 to 32 words, by Zipf's law; every one has "common", ten have RARE."""
    chance = random.Random(1)
    words = [f"word{number}" for number in range(VOCABULARY)]
    weights = [1 / (number + 1) for number in range(VOCABULARY)]
    found = []
    for number in range(rows):
        text = [*chance.choices(words, weights, k=chance.randint(8, 32)), *["common"] * chance.choice((1, 1, 1, 2, 3))]
        found.append(" ".join([*text, RARE] if number % (rows // 10) == 0 else text))
    return found


def searches(server: Server, rows: int) -> None:
    """Keyword searches over so many rows."""
    server.client.flushall()
    before = server.facts()[0]
    memory = int(server.client.info("memory")["used_memory"])
    all_texts = texts(rows)
    for start in range(0, rows, 1000):
        some = enumerate(all_texts[start : start + 1000], start)
        Document.bulk_create([Document(name=f"d{n:06}", agent=f"a{n % 100}", text=text) for n, text in some])
    each = (server.facts()[0] - before) / rows * 1e3
    grown = (int(server.client.info("memory")["used_memory"]) - memory) / rows
    print(f"\n{rows} documents: created at {each:.2f} ms of the server each, {grown:.0f} bytes each")
    query = Document.query
    of_one = Document.query.filter(agent="a7")
    searched: dict[str, Callable[[], Any]] = {
        "a word of every document": lambda: query.keyword_search("common"),
        "the same, keys alone": lambda: BM25Field.search(Document, "words", "common"),
        "a word of ten": lambda: query.keyword_search(RARE),
        "a common and a rare word": lambda: query.keyword_search(f"common {RARE}"),
        "two common words": lambda: query.keyword_search("common word0"),
        "five words": lambda: query.keyword_search("word1 word3 word10 word40 word500"),
        "a common word of one agent": lambda: of_one.keyword_search("common"),
        "two of one agent": lambda: of_one.keyword_search("common word3"),
        "a common word, rows decide": lambda: query.exclude(agent="a7").keyword_search("common"),
        "get_idf": lambda: BM25Field.get_idf(Document, "words", ["common", RARE]),
    }
    for name, work in searched.items():
        with popoto.round_trips() as trips:
            work()
        print(f"  {name:28}{server.cost(work, 20)}  {int(trips)} round trips")


def saves(server: Server) -> None:
    """Saves of texts of several lengths, beside rows without an index."""
    chance = random.Random(2)
    words = [f"word{number}" for number in range(VOCABULARY)]
    print("\nsaves, each of another text")
    for length in (20, 200, 2000, 5_000):
        for model in (Plain, Page):
            row = model(name=str(length))

            def work(row: Any = row, length: int = length) -> None:
                row.text = " ".join(chance.sample(words, length))
                row.save()

            print(f"  {length:6} words, {model.__name__:6}{server.cost(work, 10)}")


def errors(server: Server) -> None:
    """Error rates of a filter at its capacity, and what is counted without being there."""
    print("\nfilter and sketch")
    chance = random.Random(3)
    kinds: dict[str, Callable[[int], str]] = {
        "sequential": lambda number: f"transaction_{number:08}",
        "random hex": lambda number: f"{chance.getrandbits(128):032x}",
    }
    for kind, name in kinds.items():
        server.client.flushall()
        names = [name(number) for number in range(200_000)]
        # Every key has the model's name too.
        for start in range(0, 99_999, 5_000):
            Known.bulk_create([Known(name=one) for one in names[start : min(start + 5_000, 99_999)]])
        answers: list[bool] = []
        for start in range(0, len(names), 10_000):
            answers += Known.bloom.might_exist_batch(Known, names[start : start + 10_000]).values()
        missing, wrong = answers[:99_999].count(False), sum(answers[100_000:]) / 100_000
        fill = Known.bloom.fill_ratio(Known)
        print(f"  {kind}: {missing} of 99999 falsely missing, error rate {wrong:.4f} of .01, filled {fill:.3f}")
        counted = [Known.seen.get_frequency(Known, one) for one in names[100_000:101_000]]
        print(
            f"  {'':10}  of 1000 unseen ids {sum(count > 0 for count in counted)} are counted, at most {max(counted)}"
        )
    print(f"  {'might_exist':24}{server.cost(lambda: Known.bloom.might_exist(Known, 'absent'), 200)}")
    asked = [f"absent{number}" for number in range(1000)]
    print(f"  {'might_exist_batch(1000)':24}{server.cost(lambda: Known.bloom.might_exist_batch(Known, asked), 10)}")
    print(f"  {'get_frequency':24}{server.cost(lambda: Known.seen.get_frequency(Known, 'absent'), 200)}")


def main() -> None:
    """Measure and print."""
    store = popoto.connect(sys.argv[1] if len(sys.argv) > 1 else "embedded::memory:")
    server = Server(store.native)
    print(f"{store.info.server} {store.info.version}")
    for rows in [int(word) for word in sys.argv[2:]] or [1_000, 10_000, 100_000]:
        searches(server, rows)
    saves(server)
    errors(server)


if __name__ == "__main__":
    main()
