"""Drives one DLSlime TcpEndpoint: a JSON command per line on stdin, its JSON answer per line on stdout.

A command is {"id": n, "op": name, ...}; its answer {"id": n, "ok": value} or {"id": n, "error": text}.
The wheel's futures hold the interpreter lock while they wait, which is why the endpoint has a process of its own.
Statuses are the wheel's: 0 done, negative failed, null not yet.
"""

import ctypes
import hashlib
import json
import os
import sys
import time

GUARD = 4096
GUARD_BYTE = 0xA5


class Region:
    """Memory with guard bytes on both sides, so that a write past either end shows."""

    def __init__(self, length):
        self.length = length
        self.memory = (ctypes.c_uint8 * (length + 2 * GUARD))()
        self.view = memoryview(self.memory).cast("B")
        self.view[:GUARD] = bytes([GUARD_BYTE]) * GUARD
        self.view[GUARD + length :] = bytes([GUARD_BYTE]) * GUARD
        self.pointer = ctypes.addressof(self.memory) + GUARD

    def range(self, offset, length):
        if offset < 0 or length < 0 or offset + length > self.length:
            raise ValueError("range outside the region")
        return self.view[GUARD + offset : GUARD + offset + length]

    def intact(self):
        guard = bytes([GUARD_BYTE]) * GUARD
        return self.view[:GUARD] == guard and self.view[GUARD + self.length :] == guard


class Peer:
    def __init__(self):
        self.endpoint = None
        self.regions = {}
        self.handles = {}
        self.remotes = {}
        self.futures = []

    def keep(self, future):
        self.futures.append(future)
        return len(self.futures) - 1

    def assignments(self, entries):
        return [
            (self.handles[e["local"]], self.remotes[e["remote"]], e["remoteOffset"], e["localOffset"], e["length"])
            for e in entries
        ]

    def chunk(self, c):
        region = self.regions[c["name"]]
        region.range(c["offset"], c["length"])
        return (region.pointer, c["offset"], c["length"])

    # The commands. Each takes the whole command and returns what goes under "ok".

    def listen(self, c):
        from dlslime import TcpEndpoint

        self.endpoint = TcpEndpoint(c.get("host", "127.0.0.1"), c.get("port", 0))
        return self.endpoint.endpoint_info()

    def info(self, c):
        return self.endpoint.endpoint_info()

    def region(self, c):
        region = Region(c["length"])
        handle = self.endpoint.register_memory_region(c["name"], region.pointer, 0, c["length"])
        if handle < 0:
            raise ValueError("registration refused")
        self.regions[c["name"]] = region
        self.handles[c["name"]] = handle
        return handle

    def fill(self, c):
        into = self.regions[c["name"]].range(c["offset"], c["length"])
        into[:] = hashlib.shake_128(c["seed"].encode()).digest(c["length"])

    def sha256(self, c):
        return hashlib.sha256(self.regions[c["name"]].range(c["offset"], c["length"])).hexdigest()

    def intact(self, c):
        return all(region.intact() for region in self.regions.values())

    def connect(self, c):
        self.endpoint.connect(c["info"])
        for name, info in c["info"].get("mr_info", {}).items():
            self.remotes[name] = self.endpoint.register_remote_memory_region(name, info)
        return self.endpoint.is_connected()

    def read(self, c):
        return self.keep(self.endpoint.read(self.assignments(c["assignments"]), **timeout(c)))

    def write(self, c):
        return self.keep(self.endpoint.write(self.assignments(c["assignments"]), **timeout(c)))

    def send(self, c):
        return self.keep(self.endpoint.send(self.chunk(c), **timeout(c)))

    def recv(self, c):
        return self.keep(self.endpoint.recv(self.chunk(c), exact_size=c.get("exactSize", False)))

    def wait(self, c):
        return self.futures[c["future"]].wait()

    def wait_for(self, c):
        return self.futures[c["future"]].wait_for(c["seconds"])

    def settle(self, c):
        """Like wait_for, without the spin: wait_for(seconds) keeps a whole core busy."""
        deadline = time.monotonic() + c["seconds"]
        while True:
            status = self.futures[c["future"]].wait_for(0)
            if status is not None or time.monotonic() >= deadline:
                return status
            time.sleep(0.001)


COMMANDS = {
    name: getattr(Peer, name)
    for name in (
        "listen info region fill sha256 intact connect read write send recv wait wait_for settle".split()
    )
}


def timeout(c):
    return {"timeout_ms": c["timeoutMs"]} if "timeoutMs" in c else {}


def main():
    # The extension logs to file descriptor 1; the answers keep the pipe for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = Peer()
    for line in sys.stdin:
        command = json.loads(line)
        if command["op"] == "quit":
            break
        try:
            answer = {"id": command["id"], "ok": COMMANDS[command["op"]](peer, command)}
        except Exception as error:
            answer = {"id": command["id"], "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    # The extension's own teardown joins threads that may never end.
    os._exit(0)


main()
