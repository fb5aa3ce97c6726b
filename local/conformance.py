"""`conformance`: runs the conformance suite of the Model Context Protocol, which needs a newer Node than the rest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from local.exit_codes import FAILED, OK
from local.setup.programs import find_node, install_packages
from local.tasks import CONFORMANCE, call

if TYPE_CHECKING:
    from pathlib import Path

MINIMUM_NODE = 22
HINT = f"The conformance suite needs Node {MINIMUM_NODE} or newer: --node PATH, or make conformance NODE=PATH."


def conformance(root: Path, *, node: str | None) -> int:
    """Run it with that Node, or the one on PATH; the exit code. CommandError says what is missing."""
    program = find_node(node or "node", minimum=MINIMUM_NODE, hint=HINT)
    log = root / ".local" / "logs" / "setup-conformance.log"
    install_packages(root / CONFORMANCE, what="the conformance suite", log=log)
    results = root / ".local" / "conformance"
    command = [sys.executable, "-m", "tests.engine.conformance", "--node", program, "--results", str(results)]
    return OK if call(command, root, {}) == 0 else FAILED
