"""`python -m ops package`: puts together what is deployed, and lists it; azd runs it before it packages."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from ops.command import Command
from ops.doctor.app import wanted_python
from ops.package import STAGE, stage

if TYPE_CHECKING:
    from ops.command import Context


def run(context: Context) -> int:
    """Compiles where this Python is the one that runs in Azure: another one's files would be of no use there."""
    wanted, own = wanted_python(context.root), ".".join(str(part) for part in sys.version_info[:2])
    compiled = own == wanted
    files = stage(context.root, compiled=compiled)
    sizes = Counter[str]()
    numbers = Counter[str]()
    for path in files:
        folder = [part for part in path.parent.parts if part != "__pycache__"][:3]
        name = "/".join(folder) or path.name
        sizes[name] += (context.root / STAGE / path).stat().st_size
        numbers[name] += 1
    context.report.heading(f"Deployment package in {STAGE.as_posix()}")
    for name, size in sorted(sizes.items(), key=lambda one: -one[1]):
        context.report.ok(f"{size / 1024:8.1f} KB", f"{name}, {numbers[name]} file(s)" if numbers[name] > 1 else name)
    context.report.ok(f"{sizes.total() / 1024:8.1f} KB", f"in all, {len(files)} files")
    if not compiled:
        context.report.note(
            "compiled", f"nothing: Azure runs Python {wanted}, and this is {own}. Cold starts take longer."
        )
    return 0


COMMAND = Command(
    name="package",
    summary="put together what is deployed, and list it with sizes; azd's hook",
    description=(
        "Copies what .funcignore leaves of this folder to .local/package, compiles our own code there, and lists what "
        "is in it with sizes. azd runs it before it creates the package, which it takes from there."
    ),
    run=run,
)
