"""What spreading activation costs a server, at several sizes of graph and budgets.

    python benchmarks/graph.py [URL] [NODES:FAN ...]

The URL is `embedded::memory:` by default, the graphs 1,000 nodes with 50 edges each, 10,000 with 50 and 10,000 with 500
(which takes the server 700 MB). Edges are random, their weights from 0.5 to 1. The processor time is the server's, told
by INFO, the median of the runs; the bytes are what it received and sent. Nothing here is asserted.
"""

from __future__ import annotations

import random
import statistics
import sys
from typing import Any

import popoto
from popoto import CoOccurrenceField, KeyField, Model

RUNS = 15


class Node(Model):
    """A row with a graph."""

    name = KeyField()
    near = CoOccurrenceField()


def fill(client: Any, nodes: int, fan: int) -> None:
    """Write the edge sets as `link` would, many at once."""
    client.flushall()
    chance = random.Random(7)
    names = [f"Node:n{number}" for number in range(nodes)]
    for start in range(0, nodes, 200):
        pipe = client.pipeline(transaction=False)
        for name in names[start : start + 200]:
            others = [one for one in chance.sample(names, fan + 1) if one != name]
            pipe.zadd(f"$CoOcF:Node:near:{name}", {one: 0.5 + chance.random() / 2 for one in others[:fan]})
        pipe.execute()


def facts(client: Any) -> tuple[float, int, int]:
    """The server's processor seconds so far, and the bytes that it received and sent."""
    cpu, net = client.info("cpu"), client.info("stats")
    return (
        float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"]),
        int(net["total_net_input_bytes"]),
        int(net["total_net_output_bytes"]),
    )


def measured(client: Any, work: Any) -> tuple[float, float, float]:
    """Milliseconds, bytes in and bytes out of one run: medians, without what asking costs."""
    costs = []
    for number in range(RUNS):
        start = facts(client)
        between = facts(client)
        work(number)
        end = facts(client)
        costs.append([last - 2 * middle + first for first, middle, last in zip(start, between, end, strict=True)])
    seconds, received, sent = (statistics.median(column) for column in zip(*costs, strict=True))
    return seconds * 1000, received, sent


def main() -> None:
    """Measure and print."""
    given = [word for word in sys.argv[1:] if word.split(":")[0].isdigit()]
    urls = [word for word in sys.argv[1:] if word not in given]
    sizes = [tuple(map(int, one.split(":"))) for one in given] or [(1000, 50), (10_000, 50), (10_000, 500)]
    store = popoto.connect(urls[0] if urls else "embedded::memory:")
    client = store.native
    near: Any = Node.near
    print(f"{store.info.server} {store.info.version}, median of {RUNS}")
    print(f"{'graph':>12} {'what':34}{'server ms':>10}{'in':>8}{'out':>9}{'edges':>9}{'found':>7} exact trips")
    for nodes, fan in sizes:
        fill(client, nodes, fan)
        asked: list[tuple[str, dict[str, Any]]] = [(f"depth {depth}", {"depth": depth}) for depth in (1, 2, 3, 4)]
        asked.append(("depth 3, 10,000 nodes", {"depth": 3, "max_nodes": 10_000}))
        asked.append(("depth 3, 10,000 nodes, budget 10^6", {"depth": 3, "max_nodes": 10_000, "budget": 10**6}))
        asked.append(("depth 3, hop 1", {"depth": 3, "decay_per_hop": 1.0}))
        for what, options in asked:
            found: Any = None

            def work(number: int, options: dict[str, Any] = options) -> None:
                nonlocal found
                found = near.propagate(Node, [f"Node:n{number}"], **options)

            milliseconds, received, sent = measured(client, work)
            with popoto.round_trips() as trips:
                work(0)
            print(
                f"{nodes:>7}x{fan:<4} {what:34}{milliseconds:>10.2f}{received:>8.0f}{sent:>9.0f}{found.edges:>9}"
                f"{len(found):>7} {found.exact!s:5} {trips.count}",
                flush=True,
            )
        ends = [(f"Node:n{number}", f"Node:n{number + 50}") for number in range(RUNS)]
        link, _, _ = measured(client, lambda number, ends=ends: near.link(Node, *ends[number], 0.9))
        strengthen, _, _ = measured(client, lambda number, ends=ends: near.strengthen(Node, *ends[number]))
        print(f"{nodes:>7}x{fan:<4} {'link (of a full node)':34}{link:>10.2f}")
        print(f"{nodes:>7}x{fan:<4} {'strengthen':34}{strengthen:>10.2f}")


if __name__ == "__main__":
    main()
