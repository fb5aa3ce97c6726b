"""`python -m ops <command>`; azd's hooks call `main` with the same arguments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MINIMUM = (3, 13)
USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code."""
    # Before anything is imported that an older Python could not even read, or that a bare one does not have.
    if sys.version_info < MINIMUM:
        found = ".".join(str(part) for part in sys.version_info[:2])
        return _refuse(
            f"This needs Python 3.13 or newer; this is Python {found} ({sys.executable}).\n"
            "Install it (https://www.python.org/downloads/) so that `python3` is that one, on Windows `py`. azd "
            "creates the environment\nof its hooks with it; delete the one that is there, ops/hooks/hooks_env."
        )
    # `doctor` lets the server's own settings judge what is deployed.
    source = str(Path(__file__).resolve().parent.parent / "src")
    if source not in sys.path:
        sys.path.insert(0, source)
    try:
        from ops.cli import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in {"ops", "entra_mcp"}:
            raise
        return _refuse(
            f"This Python ({sys.executable}) lacks the package {error.name}.\n"
            "Build the environment with `python -m local setup`, and use it: source .venv/bin/activate (Windows: "
            ".venv\\Scripts\\activate).\nWhere azd ran this, delete ops/hooks/hooks_env, and run azd again."
        )
    return run(sys.argv[1:] if arguments is None else arguments)


def _refuse(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
