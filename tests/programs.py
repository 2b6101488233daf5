"""Programs that use an embedded server, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from embedded import PATIENCE_SECONDS

# What every program below starts with: it opens the server and keeps one connection.
OPENING = """
import os, signal, socket, sys
from pathlib import Path
from popoto_embedded.supervisor import Settings, ensure_running, open_server

def connect(server):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(server.socket_path))
    return connection

def command(connection, text):
    connection.sendall(text.encode() + b"\\r\\n")
    answer = connection.recv(4096)
    if not answer.endswith(b"\\r\\n"):
        raise ConnectionError(answer)
    return answer.decode().strip()

def say(text):
    print(text, flush=True)

directory = Path(sys.argv[1])
fsync = sys.argv[2] if len(sys.argv) > 2 else "everysec"
"""


USE = """
server = open_server(Settings(directory))
connection = connect(server)
say(command(connection, "INCR opened"))
for line in sys.stdin:
    say(command(connection, line.strip()))
server.close()
"""


# Acknowledges on its output what the server has acknowledged to it.
CHURN = """
server = open_server(Settings(directory, fsync=fsync))
connection = connect(server)
while True:
    say(command(connection, "INCR churned")[1:])
"""


# Goes on through the server's death until SIGUSR1; a write that failed may or may not have happened.
PERSIST = """
going_on = True
def finish(*_):
    global going_on
    going_on = False
signal.signal(signal.SIGUSR1, finish)
server = open_server(Settings(directory, fsync=fsync))
connection = connect(server)
number = 0
while going_on:
    number += 1
    try:
        command(connection, f"SADD written {number}")
    except OSError:
        say("unsure")
        ensure_running(server)
        connection = connect(server)
        continue
    say(str(number))
server.close()
"""


RACE = """
say("ready")
sys.stdin.readline()
for _ in range(3):
    server = open_server(Settings(directory))
    connection = connect(server)
    for _ in range(50):
        command(connection, "INCR raced")
    say(command(connection, "CONFIG GET port").replace("\\r\\n", " "))
    server.close()
"""


FORK = """
server = open_server(Settings(directory))
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    command(connect(server), "SET by child")
    server.close()
    os._exit(0)
os.waitpid(child, 0)
say(command(connect(server), "APPEND by -and-parent"))
server.close()
"""


PARENT_FIRST = """
server = open_server(Settings(directory))
if os.fork():
    server.close()
    os._exit(0)
for line in sys.stdin:
    say(command(connect(server), line.strip()))
server.close()
"""


class Program:
    """A Python process that runs one of the programs above."""

    def __init__(self, source: str, *arguments: object) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(
            [sys.executable, "-c", OPENING + source, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> list[str]:
        self.process.kill()
        return self.rest()

    def rest(self) -> list[str]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        # Not communicate(), which passes over what `hear` has read ahead.
        lines = self.process.stdout.read().splitlines()
        self.process.wait(timeout=PATIENCE_SECONDS)
        return lines
