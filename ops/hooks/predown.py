"""Runs before azd down: keeps the names that azd forgets with it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.__main__ import main

sys.exit(main(["predown"]))
