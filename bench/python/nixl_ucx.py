"""NIXL: an agent on both sides, UCX as its backend, every transfer prepared once and posted many times."""

import base64

from nixl_cu12 import nixl_agent, nixl_agent_config


class Side:
    def __init__(self, name, memory):
        self.agent = nixl_agent(name, nixl_agent_config(backends=["UCX"]))
        self.start = memory.ctypes.data
        self.agent.register_memory([(self.start, memory.size, 0, "")], "DRAM")

    def address(self):
        return {"metadata": base64.b64encode(self.agent.get_agent_metadata()).decode(), "start": self.start}


class Target(Side):
    def __init__(self, memory):
        super().__init__("target", memory)

    def connect(self, _):
        """The initiator alone connects."""


class Initiator(Side):
    def __init__(self, memory):
        super().__init__("initiator", memory)

    def connect(self, target):
        self.peer = self.agent.add_remote_agent(base64.b64decode(target["metadata"]))
        self.remote = target["start"]

    def prepare(self, op, ranges):
        here = self.agent.get_xfer_descs([(self.start + offset, length, 0) for offset, length in ranges], "DRAM")
        there = self.agent.get_xfer_descs([(self.remote + offset, length, 0) for offset, length in ranges], "DRAM")
        return self.agent.initialize_xfer(op.upper(), here, there, self.peer)

    def operation(self, op, ranges):
        handle = self.prepare(op, ranges)

        def run():
            self.post(handle)
            while not self.done(handle):
                pass

        return run

    def post(self, handle):
        if self.agent.transfer(handle) == "ERR":
            raise RuntimeError("a transfer could not be posted")

    def done(self, handle):
        state = self.agent.check_xfer_state(handle)
        if state == "ERR":
            raise RuntimeError("a transfer failed")
        return state == "DONE"

    def flow(self, op, length, depth):
        return Flow(self, [self.prepare(op, [(slot * length, length)]) for slot in range(depth)])


class Flow:
    def __init__(self, initiator, handles):
        self.initiator = initiator
        self.handles = handles
        for handle in handles:
            initiator.post(handle)

    def turn(self):
        """One look at each; what is done is posted again."""
        ended = 0
        for handle in self.handles:
            if self.initiator.done(handle):
                self.initiator.post(handle)
                ended += 1
        return ended

    def drain(self):
        for handle in self.handles:
            while not self.initiator.done(handle):
                pass
        return len(self.handles)
