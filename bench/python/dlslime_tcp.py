"""DLSlime: `TcpEndpoint` on both sides, a future for each operation."""

from collections import deque

from dlslime import TcpEndpoint

NAME = "bench"


class Side:
    def __init__(self, memory):
        self.endpoint = TcpEndpoint("127.0.0.1", 0)
        self.handle = self.endpoint.register_memory_region(NAME, memory.ctypes.data, 0, memory.size)

    def address(self):
        return self.endpoint.endpoint_info()

    def connect(self, info):
        self.endpoint.connect(info)


class Target(Side):
    pass


class Initiator(Side):
    def connect(self, info):
        super().connect(info)
        self.remote = self.endpoint.register_remote_memory_region(NAME, info["mr_info"][NAME])

    def start(self, op, offset, length):
        call = self.endpoint.read if op == "read" else self.endpoint.write
        return call([(self.handle, self.remote, offset, offset, length)])

    def operation(self, op, ranges):
        """Many ranges are so many futures: in one list they are taken one after the other and are far slower."""

        def run():
            for future in [self.start(op, offset, length) for offset, length in ranges]:
                check(future)

        return run

    def flow(self, op, length, depth):
        return Flow(self, op, length, depth)


class Flow:
    def __init__(self, initiator, op, length, depth):
        self.begin = lambda offset: (offset, initiator.start(op, offset, length))
        self.running = deque(self.begin(slot * length) for slot in range(depth))

    def turn(self):
        offset, future = self.running.popleft()
        check(future)
        self.running.append(self.begin(offset))
        return 1

    def drain(self):
        for _, future in self.running:
            check(future)
        return len(self.running)


def check(future):
    status = future.wait()
    if status != 0:
        raise RuntimeError(f"status {status}")
