"""Runs after azd down: shows what is left behind, and purges it when asked to."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.__main__ import main

sys.exit(main(["postdown"]))
