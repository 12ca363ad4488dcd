"""Runs a program with each function and each module's forward of it compiled: `run_compiled.py PROGRAM`.

What `main` and `plot` call is compiled, they themselves are not. On the error stream it says how many
recordings were replayed.
"""

import importlib.util
import sys
import types
import warnings

import pullback

program = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location("program", program)
module = importlib.util.module_from_spec(spec)
sys.modules["program"] = module
spec.loader.exec_module(module)
made = []


def compiled(function):
    """The function, compiled, and noted."""
    made.append(pullback.compile(function))
    return made[-1]


for name, thing in list(vars(module).items()):
    if getattr(thing, "__module__", None) != "program" or name in ("main", "plot"):
        continue
    if isinstance(thing, types.FunctionType):
        setattr(module, name, compiled(thing))
    elif isinstance(thing, type) and issubclass(thing, pullback.nn.Module) and "forward" in vars(thing):
        thing.forward = compiled(thing.forward)
warnings.simplefilter("ignore")
status = module.main()
replays = sum(r.runs for c in made for found in c.recordings.values() for r in found)
print(f"{replays} replays", file=sys.stderr)
sys.exit(status)
