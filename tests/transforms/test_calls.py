"""How many Python functions run in one use of a transform: as many as its parts are worth, and no more.

Most of what a transform of a small function costs are calls of Python functions, so they are counted, all
of them: those of the test, of rules, of pytrees. `python test_calls.py NAME`
prints the way of one of ROUTES through the files.
"""

import sys
from pathlib import Path

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("counts calls of Pullback's own functions")

func = torch.func
MATRIX = torch.linspace(-1, 1, 6).reshape(2, 3)
VECTOR = torch.linspace(-1, 1, 3)
per_sample = func.vmap(func.grad(lambda x: (x.sin() * x).sum()))
of_parameters = func.vmap(func.grad(lambda w, x: (w * x).sum()), in_dims=(None, 0))
slope = func.grad(lambda x: (x * x).sum())
hessian = func.hessian(lambda x: (x**3).sum())
jacrev, jacfwd = func.jacrev(torch.sin), func.jacfwd(torch.sin)

ROUTES = {
    "grad": (26, lambda: slope(VECTOR)),
    "vmap of grad": (52, lambda: per_sample(MATRIX)),
    "vmap of grad, shared": (50, lambda: of_parameters(VECTOR, MATRIX)),
    "vjp": (32, lambda: func.vjp(torch.exp, VECTOR)[1](VECTOR)),
    "jvp": (40, lambda: func.jvp(torch.tanh, (VECTOR,), (VECTOR,))),
    "jacrev": (38, lambda: jacrev(VECTOR)),
    "jacfwd": (58, lambda: jacfwd(VECTOR)),
    "hessian": (68, lambda: hessian(VECTOR)),
}
"""By name: at most so many calls, and what makes them."""


def calls_of(run):
    """The Python functions that a run calls, in order: the file and the name of each.

    What a first run plans and a second one records, later ones find.
    """
    run()
    run()
    found = []

    def note(frame, event, arg):
        if event == "call":
            found.append((frame.f_code.co_filename, frame.f_code.co_name))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize("name", ROUTES)
def test_calls(name):
    most, run = ROUTES[name]
    found = calls_of(run)
    assert len(found) <= most, "\n".join(f"{Path(file).name} {function}" for file, function in found)


if __name__ == "__main__":
    for file, function in calls_of(ROUTES[" ".join(sys.argv[1:])][1]):
        print(f"{Path(file).parent.name}/{Path(file).name}: {function}")
