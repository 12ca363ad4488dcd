"""What answers processes that were started by themselves, so that they become ranks of MPI.

MPICH's libraries ask whoever started them for each other's addresses, by lines of text (PMI, version 1) on a
socket whose number is in the environment. This program answers them. Rank 0 starts it (meeting.py), as a
process of its own: MPI starts without letting other threads of Python run. It needs Python's own library
alone, prints its port, and ends when nobody is connected any more. Its other connections are watches: when a
rank's socket closes before it has said that it ends, all others are told.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import threading
import time

ALONE = 30.0, 0.5
"""Seconds without a connection after which it ends: before any rank has come, and then."""


class Meeting:
    """What answers the ranks of a world, and tells them who has ended."""

    def __init__(self, size: int, word: str) -> None:
        self.size = size
        self.word = word
        self.name = f"{os.getpid()}_{secrets.token_hex(4)}"  # MPI names its shared memory by it
        self.connected = 0
        self.listener = socket.create_server(("", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.values: dict[str, str] = {}
        self.lock = threading.Lock()
        self.arrived: list[socket.socket] = []
        self.watches: list[socket.socket] = []
        self.ended: list[int] = []
        self.come: set[int] = set()

    def accept(self) -> None:
        """Answers each connection in a thread."""
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.keep, args=(connection,), daemon=True).start()

    def keep(self, connection: socket.socket) -> None:
        """Counts a connection while it lasts."""
        with self.lock:
            self.connected += 1
        self.answer(connection)
        with self.lock:
            self.connected -= 1

    def answer(self, connection: socket.socket) -> None:
        """Talks with a rank, or keeps its watch."""
        lines = connection.makefile("r")
        try:
            word, kind, rank = lines.readline().split()
        except (ValueError, OSError):
            connection.close()
            return
        if word != self.word:
            connection.close()
        elif kind == "watch":
            with self.lock:
                self.watches.append(connection)
                self.tell_all_are_here([connection])
                for other in self.ended:
                    self.tell(connection, other)
            with contextlib.suppress(OSError):
                lines.read()  # until the process ends
        else:
            finished = False
            with self.lock:
                self.come.add(int(rank))
                self.tell_all_are_here(self.watches)
            with contextlib.suppress(OSError):
                for line in lines:
                    finished = self.reply(connection, line)
            if not finished:
                with self.lock:
                    self.ended.append(int(rank))
                    for watch in self.watches:
                        self.tell(watch, int(rank))

    def tell_all_are_here(self, watches: list[socket.socket]) -> None:
        """Tells ranks when all have come."""
        if len(self.come) == self.size:
            for watch in watches:
                self.tell(watch, "all")

    @staticmethod
    def tell(watch: socket.socket, what: int | str) -> None:
        """Tells a rank that all are here, or which one has ended."""
        with contextlib.suppress(OSError):
            watch.sendall(f"{what}\n".encode())

    def reply(self, connection: socket.socket, line: str) -> bool:
        """Answers one line; whether it was the last."""
        asked = dict(part.split("=", 1) for part in line.split() if "=" in part)
        what, key = asked.get("cmd", ""), asked.get("key", "")
        if what == "barrier_in":
            with self.lock:
                self.arrived.append(connection)
                if len(self.arrived) == self.size:
                    arrived, self.arrived = self.arrived, []
                    for one in arrived:
                        one.sendall(b"cmd=barrier_out rc=0\n")
            return False
        if what == "put":
            self.values[key] = asked["value"]
            answer = "cmd=put_result rc=0 msg=success"
        elif what == "get" and key in self.values:
            answer = f"cmd=get_result rc=0 msg=success value={self.values[key]}"
        else:
            answer = {
                "init": "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0",
                "get_maxes": "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024 rc=0",
                "get_appnum": "cmd=appnum appnum=0 rc=0",
                "get_my_kvsname": f"cmd=my_kvsname kvsname=kvs_{self.name} rc=0",
                "get_universe_size": f"cmd=universe_size size={self.size} rc=0",
                "get": "cmd=get_result rc=-1 msg=key_not_found value=unknown",
                "finalize": "cmd=finalize_ack rc=0",
            }.get(what, f"cmd={what}_result rc=-1 msg=unknown")
        connection.sendall(f"{answer}\n".encode())
        return what == "finalize"


def main(size: int, word: str) -> None:
    """Serves a meeting of `size` ranks that know the word."""
    meeting = Meeting(size, word)
    threading.Thread(target=meeting.accept, daemon=True).start()
    print(meeting.port, flush=True)
    os.close(1)
    quiet = time.monotonic()
    while time.monotonic() - quiet < ALONE[bool(meeting.come)]:
        time.sleep(0.2)
        if meeting.connected:
            quiet = time.monotonic()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.stdin.readline().strip())
