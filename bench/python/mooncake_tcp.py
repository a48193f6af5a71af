"""Mooncake: a `TransferEngine` on both sides over TCP, without a metadata server."""

from mooncake.engine import TransferEngine


class Side:
    def __init__(self, memory):
        self.engine = TransferEngine()
        self.start = memory.ctypes.data
        check(self.engine.initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", ""))
        check(self.engine.register_memory(self.start, memory.size))

    def address(self):
        return {"name": f"127.0.0.1:{self.engine.get_rpc_port()}", "start": self.start}


class Target(Side):
    def connect(self, _):
        """The initiator alone connects."""


class Initiator(Side):
    def connect(self, target):
        self.peer = target["name"]
        self.remote = target["start"]

    def operation(self, op, ranges):
        if len(ranges) == 1:
            call = self.engine.transfer_sync_read if op == "read" else self.engine.transfer_sync_write
            offset, length = ranges[0]
            return lambda: check(call(self.peer, self.start + offset, self.remote + offset, length))
        call = self.engine.batch_transfer_sync_read if op == "read" else self.engine.batch_transfer_sync_write
        here, there, lengths = self.lists(ranges)
        return lambda: check(call(self.peer, here, there, lengths))

    def lists(self, ranges):
        here = [self.start + offset for offset, _ in ranges]
        there = [self.remote + offset for offset, _ in ranges]
        return here, there, [length for _, length in ranges]

    def flow(self, op, length, depth):
        return Flow(self, op, length, depth)


class Flow:
    """The engine waits for a list of operations, so `depth` of them begin together and are waited for together."""

    def __init__(self, initiator, op, length, depth):
        engine = initiator.engine
        self.wait = engine.get_batch_transfer_status
        self.begin = engine.batch_transfer_async_read if op == "read" else engine.batch_transfer_async_write
        self.peer = initiator.peer
        self.singles = [initiator.lists([(slot * length, length)]) for slot in range(depth)]

    def turn(self):
        running = [self.begin(self.peer, *single) for single in self.singles]
        if 0 in running:
            raise RuntimeError("an operation could not be started")
        check(self.wait(running))
        return len(running)

    def drain(self):
        return 0


def check(status):
    if status != 0:
        raise RuntimeError(f"status {status}")
