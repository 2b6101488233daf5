"""A process of its own that works on the store under test: reads a job from its input, prints what came of it."""

from __future__ import annotations

import json
import sys

from popoto.storage import Connection, Guard, Refused, Txn, ask
from popoto.storage.commands.hashes import hget, hincrby, hset


def main() -> None:
    """Add one to a counter fifty times and claim twenty fields; print the wins and every sum."""
    job = json.load(sys.stdin)
    connection = Connection(job["url"])
    key, claim = job["key"], job["claim"]
    if connection.run(ask(hget(job["here"], "f"))) != b"seen":
        raise SystemExit("what another process wrote is not seen here")
    wins = 0
    for turn in range(20 if job["claiming"] == "guarded" else 0):
        guard = Guard("nofield", claim.encode(), b"%d" % turn)
        reply = connection.run(ask(Txn([hset(claim, {str(turn): "mine"})], [guard])))
        wins += not isinstance(reply, Refused)
    sums = [connection.run(ask(hincrby(key, "n", 1))) for _ in range(50)]
    connection.close()
    print(json.dumps([wins, *sums]))


if __name__ == "__main__":
    main()
