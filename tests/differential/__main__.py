"""python tests/differential N [--seed S] [--steps K] [--shrink]: N random programs on both libraries.

It tells where they part. To shrink a program, numbers are left out as long as it differs in that step.
Programs run in a process of their own, since some end PyTorch's.
"""

import argparse
import collections
import multiprocessing
import sys

from both import compared, difference, drawn, libraries, observed

FORK = multiprocessing.get_context("fork")


def kind(told):
    """The step in which a difference was seen."""
    return told.partition(": ")[0].partition(", ")[2]


def shrunk(numbers, steps, mine, theirs):
    """A shorter list of choices, and fewer steps, that differ in the same kind of step."""
    told = difference(numbers, steps, mine, theirs)

    def like_it(numbers, steps):
        found = difference(numbers, steps, mine, theirs)
        return found if found and kind(found) == kind(told) else None

    while steps > 1 and (fewer := like_it(numbers, steps - 1)):
        steps, told = steps - 1, fewer
    for size in (8, 4, 2, 1):
        place = 0
        while place < len(numbers):
            shorter = numbers[:place] + numbers[place + size :]
            if found := like_it(shorter, steps):
                numbers, told = shorter, found
            else:
                place += size
    return numbers, steps, told


def tell(pipe, seeds, steps, mine, theirs):
    """Sends the number of each program before it runs, and how it went."""
    for seed in seeds:
        pipe.send((seed, None))
        try:
            told = compared(drawn(seed), steps, mine, theirs)
        except Exception as error:
            told = f"step 0, comparison: {type(error).__name__}: {error}", None
        pipe.send((seed, told))


def verdicts(seeds, steps, mine, theirs):
    """The number of each program, and how it went; at one that ends the process the next process begins."""
    while seeds:
        place, end = FORK.Pipe(duplex=False)
        process = FORK.Process(target=tell, args=(end, seeds, steps, mine, theirs))
        process.start()
        end.close()
        seed, told = seeds[0], None
        try:
            while True:
                seed, told = place.recv()
                if told is not None:
                    yield seed, told
        except EOFError:
            process.join()
        if told is None:
            yield seed, ended(seed, steps, mine)
        seeds = range(seed + 1, seeds.stop)


def ended(seed, steps, mine):
    """Which of the two ended the process."""
    process = FORK.Process(target=observed, args=(mine, drawn(seed), steps))
    process.start()
    process.join()
    if process.exitcode:
        return f"step 0, process: ended with {process.exitcode}", None
    return None, "PyTorch ends the process"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--shrink", action="store_true")
    options = parser.parse_args()
    mine, theirs = libraries()
    told, purposes = collections.Counter(), collections.Counter()
    for seed, (how, reason) in verdicts(
        range(options.seed, options.seed + options.count), options.steps, mine, theirs
    ):
        if reason:
            purposes[reason] += 1
        if how:
            told[kind(how)] += 1
            print(f"{seed}: {how}", flush=True)
            if options.shrink:
                print("   ", *shrunk(drawn(seed), options.steps, mine, theirs), flush=True)
    same = options.count - sum(told.values()) - sum(purposes.values())
    print(
        f"{same}/{options.count} programs agree, {sum(purposes.values())} differ on purpose:", dict(purposes)
    )
    print("others:", dict(told))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
