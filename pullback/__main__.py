"""`python -m pullback program.py [args]`: see `pullback.launch`."""

import sys

from pullback.launch import main

if __name__ == "__main__":
    status = main(sys.argv[1:])
    if status:  # without an exit, Python's prompt may follow
        sys.exit(status)
