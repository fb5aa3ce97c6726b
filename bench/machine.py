"""The machine that measures, as far as ratios and times depend on it: no names, no paths."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("fastmcp", "mcp", "starlette", "uvicorn", "py-key-value-aio", "azure-data-tables", "azure-functions")


def machine() -> dict[str, str]:
    """What each of its parts is, by name."""
    return {
        "processor": f"{psutil.cpu_count()} logical cores, {_model()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _model() -> str:
    """What Linux says of the first core; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
