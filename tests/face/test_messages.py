"""Misuse, and the exact exception and words it meets, from golden/messages.txt.

Each case there is a title, a program after `>>>`, and what PyTorch did: the exception's type and
text, warnings, or `nothing`. Lines that begin with `|` continue a text. Links to documentation
are ours to choose and are compared as `<url>`.
"""

import warnings

import numpy as np
import pytest
from library import GOLDEN, torch, without_links


def parse(text):
    """The cases of a golden file, each as title, program, outcome."""
    cases = []
    for block in text.strip().split("\n\n"):
        title, *lines = block.split("\n")
        code = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
        cases.append((title.removeprefix("# "), "\n".join(code), "\n".join(lines[len(code) :])))
    return cases


def render(cases):
    """The text of a golden file: what `parse` reads."""
    blocks = []
    for title, code, result in cases:
        shown = ">>> " + code.replace("\n", "\n... ")
        blocks.append(f"# {title}\n{shown}\n{result}\n")
    return "\n".join(blocks)


def renamed(text):
    """The library may call itself, and the type behind Tensor, by its own name."""
    text = text.replace("'pullback.Tensor' objects", "'torch._C.TensorBase' objects")
    return text.replace("pullback", "torch").replace("Pullback", "PyTorch")


def outcome(code):
    """Run the program; say what it warned of and how it ended."""
    told = []
    torch.set_warn_always(True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(compile(code, "<program>", "exec"), {"torch": torch, "np": np})
        except Exception as error:
            told.append(f"{type(error).__name__}: {error}")
    told += [f"warns {one.category.__name__}: {one.message}" for one in caught]
    texts = [renamed(without_links(text)) for text in told] or ["nothing"]
    return "\n".join("\n| ".join(line.rstrip() for line in text.split("\n")) for text in texts)


CASES = parse((GOLDEN / "messages.txt").read_text())


@pytest.mark.parametrize(("title", "code", "expected"), CASES, ids=[case[0] for case in CASES])
def test_message(title, code, expected):
    assert outcome(code) == expected


def test_titles_are_unique():
    titles = [title for title, _, _ in CASES]
    assert len(set(titles)) == len(titles)
