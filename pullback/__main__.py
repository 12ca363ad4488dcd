"""`python -m pullback program.py [args]`: see `pullback.launch`."""

import sys

from pullback.launch import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
