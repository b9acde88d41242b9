"""One measurement: one workload in a fresh process. Prints its result as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

BEGAN = float(os.environ.get("BENCH_BEGAN") or time.monotonic())


async def measure(name: str, workdir: Path) -> None:
    from benchmarks.load.system import System
    from benchmarks.load.workloads import WORKLOADS

    system = System(workdir, workers=int(os.environ.get("BENCH_WORKERS") or 1))
    await system.open()
    opened = time.monotonic() - BEGAN
    result = await WORKLOADS[name](system)
    result |= {"spawn_to_open_s": opened, "spawn_to_done_s": time.monotonic() - BEGAN}
    print(json.dumps(result), flush=True)
    if name == "park":
        await asyncio.sleep(3_600)  # until the kill
    await system.close()


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], Path(sys.argv[2])))
