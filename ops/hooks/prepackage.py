"""Runs before azd packages the server: puts together what is deployed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ops.__main__ import main

sys.exit(main(["package"]))
