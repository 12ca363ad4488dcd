"""One rank of the checks: `mpiexec -n 4 python ranks.py folder` runs all `check_*` of the files
`checks_*.py`.

Starting processes is dear, so a world runs all checks. Each rank writes into the folder what became of them:
by the check's name its traceback, or None. After a check that fails ranks may wait for each other in vain, so
it is the last one.
"""

import datetime
import importlib
import json
import os
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent


def names():
    """The checks, as "file.function", in the order that they are run in."""
    found = []
    for path in sorted(HERE.glob("checks_*.py")):
        lines = path.read_text().splitlines()
        found += [
            f"{path.stem}.{line[4:].partition('(')[0]}" for line in lines if line.startswith("def check_")
        ]
    return found


def main(folder):
    """Runs the checks as one rank of the world."""
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    from library import torch

    dist = torch.distributed
    only = sys.argv[2:]
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
    results = {}
    for name in only or names():
        file, _, function = name.partition(".")
        torch.manual_seed(0)
        try:
            getattr(importlib.import_module(file), function)(dist.get_rank(), dist.get_world_size(), folder)
            dist.barrier()
            results[name] = None
        except BaseException:
            results[name] = traceback.format_exc()
        Path(folder, f"{dist.get_rank()}.json").write_text(json.dumps(results))
        if results[name] is not None:
            print(results[name], file=sys.stderr, flush=True)
            os._exit(1)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
