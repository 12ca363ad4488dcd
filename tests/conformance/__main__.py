"""`python -m tests.conformance [words] [--write] [--jobs 2] [--all] [--failures N] [--check]`.

Words are names of rows or parts of them; none is all. Prints a line a row that is not full, with its failures
(`--failures`, 5 by default), and the counts. `--write` writes docs/coverage.md, `--check` compares with it.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before NumPy: the workers are the parallel part


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--all", action="store_true", help="all samples of the database")
    parser.add_argument("--failures", type=int, default=5, help="failures printed of a row")
    parser.add_argument("--verbose", action="store_true", help="full rows too")
    parser.add_argument("--write", action="store_true", help="write docs/coverage.md")
    parser.add_argument(
        "--check",
        action="store_true",
        help="fail where docs/coverage.md says that a row is full and it is not",
    )
    return parser.parse_args()


def main() -> int:
    """Runs, prints, writes; 1 if a check failed."""
    options = arguments()
    warnings.simplefilter("ignore")
    from . import draw, report

    rows = draw.rows(options.words)
    results = []
    for found in report.run(rows, options.jobs, options.all):
        results.append(found)
        if options.verbose or not report.is_full(found):
            print(report.line(found), flush=True)
            for column, where, what in found.failures[: options.failures]:
                print(f"    {column}: {where}\n        {what}")
    results.sort(key=lambda found: found.name)
    missing = sum(bool(found.missing) for found in results)
    print(f"{len(results)} rows: {sum(map(report.is_full, results))} full, {missing} not there")
    if options.write:
        report.PAGE.write_text(report.page(results))
    if options.check and (names := report.worse(results)):
        print("once more, one at a time:")
        again = [found for found in report.run(draw.rows(names), 1, options.all) if found.name in names]
        return int(bool(report.worse(again)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
