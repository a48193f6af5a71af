"""The two processes of a contender in Python: `pair.py target MODULE BYTES` and `pair.py initiator MODULE BYTES`.

Both take a line of JSON and answer with one, and end with their input. MODULE has `Target` and `Initiator`; the loops
here are those of `support/measure.mjs`, the same for every contender in Python.
"""

import importlib
import json
import os
import sys
import threading
import time

import numpy

PERIOD = 251
BURST_S = 0.3
GAP_S = 0.01


def pattern(length):
    """The bytes of `support/pattern.mjs`."""
    return numpy.resize(numpy.arange(1, PERIOD + 1, dtype=numpy.uint8), length)


def first_difference(memory):
    differs = memory != pattern(memory.size)
    return int(numpy.argmax(differs)) if differs.any() else -1


class Bursts(threading.Thread):
    """Keeps Python busy as a model would: one thread that computes for 300 ms of every 310."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stopped = False
        self.start()

    def run(self):
        state = 1
        while not self.stopped:
            end = time.perf_counter() + BURST_S
            while time.perf_counter() < end:
                for _ in range(1000):
                    state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            time.sleep(GAP_S)


class TargetRole:
    def __init__(self, module, length):
        self.memory = numpy.zeros(length, numpy.uint8)
        self.memory[:] = pattern(length)
        self.target = module.Target(self.memory)
        self.bursts = None

    def address(self, _):
        return {"address": self.target.address()}

    def connect(self, request):
        self.target.connect(request["initiator"])
        return {}

    def wipe(self, _):
        self.memory[:] = 0
        return {}

    def difference(self, _):
        return {"offset": first_difference(self.memory)}

    def busy(self, request):
        if self.bursts is not None:
            self.bursts.stopped = True
            self.bursts.join()
        self.bursts = Bursts() if request["wanted"] else None
        return {}

    def cpu(self, _):
        return {"cpu_s": time.process_time()}


class InitiatorRole:
    def __init__(self, module, length):
        self.memory = numpy.zeros(length, numpy.uint8)
        self.initiator = module.Initiator(self.memory)

    def address(self, _):
        return {"address": self.initiator.address()}

    def connect(self, request):
        self.initiator.connect(request["target"])
        return {}

    def move(self, request):
        """One operation over all of the memory, for the check."""
        self.initiator.operation(request["op"], [(0, self.memory.size)])()
        return {"offset": first_difference(self.memory)}

    def move_batch(self, request):
        entries, length = request["entries"], request["bytes"]
        self.memory[: entries * length] = 0
        self.initiator.operation("read", [(index * length, length) for index in range(entries)])()
        return {"offset": first_difference(self.memory[: entries * length])}

    def run(self, row):
        loops = {"serial": self.serial, "pipelined": self.pipelined, "batched": self.batched}
        if row.get("warmup", 0) > 0:
            self.serial({**row, "count": row["warmup"], "seconds": None})
        before = time.process_time()
        result = loops[row["kind"]](row)
        return {**result, "cpu_s": time.process_time() - before}

    def serial(self, row):
        run = self.initiator.operation(row["op"], [(0, row["bytes"])])
        count, end = limits(row)
        latencies = []
        start = now = time.perf_counter()
        while len(latencies) < count and now < end:
            run()
            done = time.perf_counter()
            latencies.append((done - now) * 1e6)
            now = done
        latencies.sort()
        return {
            **moved(len(latencies), row["bytes"], now - start),
            "p50_us": percentile(latencies, 0.5),
            "p99_us": percentile(latencies, 0.99),
            "p999_us": percentile(latencies, 0.999) if len(latencies) >= 1000 else None,
            "max_us": latencies[-1],
        }

    def pipelined(self, row):
        flow = self.initiator.flow(row["op"], row["bytes"], row["depth"])
        operations = 0
        start = time.perf_counter()
        end = start + row["seconds"]
        while time.perf_counter() < end:
            operations += flow.turn()
        operations += flow.drain()
        return moved(operations, row["bytes"], time.perf_counter() - start)

    def batched(self, row):
        length, entries = row["bytes"], row["entries"]
        run = self.initiator.operation(row["op"], [(index * length, length) for index in range(entries)])
        operations = 0
        start = time.perf_counter()
        end = start + row["seconds"]
        while operations == 0 or time.perf_counter() < end:
            run()
            operations += entries
        return moved(operations, length, time.perf_counter() - start)


def limits(row):
    count, seconds = row.get("count"), row.get("seconds")
    end = float("inf") if seconds is None else time.perf_counter() + seconds
    return (float("inf") if count is None else count), end


def moved(operations, length, seconds):
    return {
        "n": operations,
        "seconds": seconds,
        "ops": operations / seconds,
        "gbps": operations * length / seconds / 1e9,
    }


def percentile(ordered, quantile):
    rank = -int(-len(ordered) * quantile // 1)
    return ordered[min(len(ordered), max(1, rank)) - 1]


def main():
    role, module, length = sys.argv[1:]
    # Libraries print to the standard output too; the answers have it for themselves.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    served = {"target": TargetRole, "initiator": InitiatorRole}[role](importlib.import_module(module), int(length))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(served, request["call"])(request)
        except Exception as error:
            answer = {"failure": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
    # The libraries' threads and destructors have hung here, and nothing is left to be saved.
    os._exit(0)


main()
