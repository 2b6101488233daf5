"""A blocking wire keeps one connection between its exchanges, and notices when it is lost or not its own."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from popoto import KeyField, Model, using
from popoto.storage import Command, Connection, ask


class Note(Model):
    name = KeyField()


def number(connection: Connection) -> int:
    """The server's number of the connection over which it is asked."""
    return connection.run(ask(Command("CLIENT", "ID", shape=int)))


def test_exchanges_share_a_connection_and_threads_do_not(server: Connection):
    first = number(server)
    assert {number(server) for _ in range(3)} == {first}
    found: list[int] = []
    wire: Any = server.backend
    busy = wire.wire._held.pop()
    thread = threading.Thread(target=lambda: found.append(number(server)))
    thread.start()
    thread.join()
    wire.wire._held.append(busy)
    assert found != [first]


def test_a_connection_that_the_server_has_closed_is_opened_anew(server: Connection, plain: Any):
    lost = number(server)
    plain.client_kill_filter(_id=lost)
    Note.create(name="a")
    assert plain.exists("Note:a") == 1
    assert number(server) != lost


def test_a_small_pool_gets_its_connection_back(server: Connection):
    host, port = server.url.hosts[0]
    small = Connection(f"{server.url.scheme}://{host}:{port}/{server.url.path}?max_connections=1")
    with using(small):
        Note.create(name="a")
    assert small.native.exists("Note:a") == 1
    small.close()


def test_a_forked_child_leaves_the_parents_connection_alone(server: Connection):
    backend = server.backend
    step = Command("CLIENT", "ID", shape=int)
    (mine,) = backend.execute([step])
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"%d" % backend.execute([step])[0])
        os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reading, 100))
    assert theirs != mine
    assert backend.execute([step]) == [mine]


def test_what_a_closed_connection_held_is_closed(server: Connection, plain: Any):
    host, port = server.url.hosts[0]
    one = Connection(f"{server.url.scheme}://{host}:{port}/{server.url.path}?client_name=held")
    with using(one):
        Note.create(name="a")
    assert "held" in {client["name"] for client in plain.client_list()}
    one.close()
    deadline = time.monotonic() + 60
    while "held" in {client["name"] for client in plain.client_list()}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
