"""A cluster, a sentinel and a TLS front, made of the same server programs as the other tests'."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import redis
from servers import KINDS, Servers

SLOTS = 16_384
CERTIFICATES = Path(__file__).parent / "certificates"


def cluster(servers: Servers) -> list[int]:
    """The ports of three fresh nodes that share the slots."""
    program = KINDS["valkey"].program()
    folder = servers.folder / "cluster"
    options = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "5000")
    # The bus takes the port 10,000 above, so the node's own must leave room for it.
    ports = [servers.start(program, folder / str(number), *options, highest=55_000) for number in range(3)]
    nodes = [redis.Redis(port=port) for port in ports]
    for number, node in enumerate(nodes):
        first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for node in nodes[1:]:
        node.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0])
    deadline = time.monotonic() + 60
    while not all(_knows_all(node) for node in nodes):
        assert time.monotonic() < deadline, "the nodes of the cluster did not find each other"
        time.sleep(0.05)
    for node in nodes:
        node.close()
    return ports


def _knows_all(node: redis.Redis) -> bool:
    text = _raw_info(node)
    return b"cluster_state:ok" in text and b"cluster_known_nodes:3" in text


def _raw_info(node: redis.Redis) -> bytes:
    connection = node.connection_pool.get_connection()
    try:
        connection.send_command("CLUSTER", "INFO")
        return bytes(connection.read_response(disable_decoding=True))
    finally:
        node.connection_pool.release(connection)


def sentinel(servers: Servers, primary: int) -> int:
    """The port of a sentinel that watches a server under the name `service`."""
    folder = servers.folder / "sentinel"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "sentinel.conf"
    settings.write_text(f"sentinel monitor service 127.0.0.1 {primary} 1\n")
    return servers.start(KINDS["valkey"].program(), folder, "--sentinel", first=str(settings))


class TLSFront:
    """Takes TLS connections and hands their bytes to a plain server, on threads of its own."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            outside = self._context.wrap_socket(client, server_side=True)
            server.settimeout(0.02)
            outside.settimeout(0.02)
            with outside:
                while self._pass(outside, server) and self._pass(server, outside):
                    pass

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> bool:
        try:
            data = source.recv(65_536)
        except TimeoutError:
            return True
        if data:
            target.sendall(data)
        return bool(data)

    def close(self) -> None:
        """Take no more connections."""
        self._socket.close()
