"""python tests/differential/crashes.py N [--seed S]: N malformed calls, and those at which the process ends.

The calls are made in processes that say before each which one it is, so that what kills one, or does not end
within some seconds, is known by its seed; `--only SEED` makes that call alone and prints it. What takes long
because it was asked to, as the polynomial of degree 2**62, counts as an answer.
"""

import argparse
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np
from malformed import drawn_call, names

import pullback as torch

MEMORY = 6 << 30
"""What a process may have: what asks for more is refused by the system, and must tell so."""
SECONDS, IN_ALL = 8, 240
"""How long a call may compute, and how long it may take, on a machine that has other work too."""
AT_ONCE = 20_000
MUCH = 1 << 20
OUR_FAULTS = (SystemError, NameError, RecursionError)
"""What no argument should lead to."""


def called(seed, among):
    """Makes one call and the backward pass of what it gives; what it raises, or None."""
    try:
        _, function, args, kwargs = drawn_call(torch, seed, among)
        result = function(*args, **kwargs)
        for one in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(one, torch.Tensor) and one.requires_grad and one.numel() < 1 << 16:
                one.backward(torch.ones_like(one))
    except Exception as error:
        return error


def run(start, count, note):
    """Makes calls, with the seed of the present one in the file `note`."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    among = names(torch)
    with open(note, "r+b", buffering=0) as place:
        for seed in range(start, start + count):
            place.seek(0)
            place.write(b"%20d" % seed)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(IN_ALL)
            error = called(seed, among)
            if isinstance(error, OUR_FAULTS):
                print(f"{seed}: {type(error).__name__}: {str(error)[:100]}", flush=True)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)


def asks_for_much(x, depth=0):
    """Whether an argument is a large number, or large: what is done with it may take long."""
    if isinstance(x, torch.Tensor):
        return x.numel() > MUCH or (not x.is_meta and asks_for_much(x.flatten()[:64].tolist()))
    if isinstance(x, (int, float, complex)):
        return not abs(x) <= MUCH
    if isinstance(x, dict):
        return any(asks_for_much(item, depth + 1) for item in x.values())
    return isinstance(x, (list, tuple)) and depth < 4 and any(asks_for_much(item, depth + 1) for item in x)


def takes_long(seed):
    """Whether a call that did not end had been asked for much."""
    return asks_for_much(list(drawn_call(torch, seed, names(torch))[2:]))


def ends(start, count):
    """Where processes end, and how: lines; and what they say of faults of ours."""
    end, found = start + count, []
    while start < end:
        with tempfile.NamedTemporaryFile() as note:
            more = min(end - start, AT_ONCE)
            command = [sys.executable, __file__, str(more), "--seed", str(start), "--note", note.name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            found += done.stdout.splitlines()
            if not done.returncode:
                start += more
                continue
            seed = int(Path(note.name).read_bytes() or start)
            too_long = done.returncode in (-signal.SIGPROF, -signal.SIGALRM)
            if not too_long or not takes_long(seed):
                found.append(f"{seed}: ended with {done.returncode} {done.stderr.strip()[-100:]}")
            start = seed + 1
    return found


def show(seed):
    """Makes a call and prints it."""
    name, function, args, kwargs = drawn_call(torch, seed, names(torch))
    print(
        name,
        *(x.shape if isinstance(x, torch.Tensor) and x.numel() > 99 else x for x in args),
        kwargs,
        flush=True,
    )
    try:
        print(function(*args, **kwargs))
    except Exception:
        traceback.print_exc()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--note", help="the file for the seed of the present call")
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    if options.note:
        return run(options.seed, options.count, options.note)
    if options.only is not None:
        return show(options.only)
    found = ends(options.seed, options.count)
    print(*found, f"{options.count} calls, {len(found)} faults", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
