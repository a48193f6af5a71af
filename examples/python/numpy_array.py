"""A DLSlime process with a NumPy array: `python numpy_array.py`. It prints its endpoint info, then answers each line of its input.

`sum` prints the array's sum. `wait X` waits until every element is X, which somebody else has written, and prints how it ended.
"""

import json
import os
import sys
import time

import numpy
from dlslime import TcpEndpoint

array = numpy.arange(1_000_000, dtype=numpy.float32).reshape(1000, 1000)
endpoint = TcpEndpoint("127.0.0.1", 0)
if endpoint.register_memory_region("array", array.ctypes.data, 0, array.nbytes) < 0:
    sys.exit("the region was refused")

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # the library logs to the standard output
print(json.dumps(endpoint.endpoint_info()), file=answers)

for line in sys.stdin:
    command, *arguments = line.split()
    if command == "sum":
        print(float(array.sum(dtype=numpy.float64)), file=answers)
    elif command == "wait":
        deadline = time.monotonic() + 10
        while not (whole := bool((array == float(arguments[0])).all())) and time.monotonic() < deadline:
            time.sleep(0.001)
        print("whole" if whole else f"not whole: {array.min()} to {array.max()}", file=answers)

os._exit(0)  # the library's own end joins threads that may never end
