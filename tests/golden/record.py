"""Record PyTorch's answers into the golden files beside this script, which the tests read.

Run as `python tests/golden/record.py` where PyTorch is installed. The questions are in the files
themselves (messages.txt, grad_fn_names.txt) or in the test that reads them (promotion): what is
asked stays, what PyTorch answered is written anew, so a new case needs its question only.
"""

import os
import sys
from pathlib import Path

os.environ["PULLBACK_TESTED"] = "torch"
GOLDEN = Path(__file__).parent
TESTS = GOLDEN.parent
sys.path[:0] = [str(TESTS / folder) for folder in (".", "rows", "core", "ops", "face", "kernels")]


def record_messages():
    from test_messages import outcome, parse, render

    path = GOLDEN / "messages.txt"
    cases = parse(path.read_text())
    path.write_text(render([(title, code, outcome(code)) for title, code, _ in cases]))


def record_grad_fn_names():
    from test_grad_fn_names import names_of

    path = GOLDEN / "grad_fn_names.txt"
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            expression = line.rsplit("=>", 1)[0].strip()
            lines[number] = f"{expression} => {names_of(expression)}"
    path.write_text("\n".join(lines) + "\n")


def record_promotion():
    from test_promotion import CATEGORIES, DTYPES, FUNCTIONS, NUMBERS, row

    lines = ["# columns: " + " ".join([*DTYPES, *NUMBERS])]
    for function in FUNCTIONS:
        for category in CATEGORIES:
            lines += [
                f"{function},{category},{code:<3}: " + " ".join(f"{a:<3}" for a in answers).rstrip()
                for code in DTYPES
                for answers in [row(function, category, code)]
            ]
    (GOLDEN / "promotion.txt").write_text("\n".join(lines) + "\n")


def record_random():
    from test_random_engine import Theirs, golden

    (GOLDEN / "random.txt").write_text("\n".join(golden(Theirs)) + "\n")


if __name__ == "__main__":
    record_messages()
    record_grad_fn_names()
    record_promotion()
    record_random()
