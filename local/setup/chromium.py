"""Finds a Chromium for the browser test, or installs Debian's where that needs no questions asked.

One without windows is preferred: its pages cost a third of the processor time.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from local.progress import CommandError, run_visibly, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

WINDOWLESS = "chromium-headless-shell"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge", "chrome")

_MAC = (
    "Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "Applications/Chromium.app/Contents/MacOS/Chromium",
    "Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
_WINDOWS = (
    "Google/Chrome/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
    "Chromium/Application/chrome.exe",
)
_PLAYWRIGHT = (
    *("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*"),
    "chromium-*/chrome-win*/chrome.exe",
)
_PLAYWRIGHT_WINDOWLESS = (
    *("chromium_headless_shell-*/*/chrome-headless-shell", "chromium_headless_shell-*/*/headless_shell"),
    "chromium_headless_shell-*/*/chrome-headless-shell.exe",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is looked at; the defaults are this machine."""

    platform: str = sys.platform
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)
    home: Path = field(default_factory=Path.home)
    root: Path = Path("/")

    def find(self) -> Path | None:
        """The first found: CHROMIUM, one without windows, PATH, the usual places, Playwright's own downloads."""
        chosen = self.variables.get("CHROMIUM")
        if chosen:
            found = shutil.which(chosen, path=self.variables.get("PATH"))
            if found is None:
                raise CommandError(f"CHROMIUM is set to {chosen}, which is no program. Correct it, or unset it.")
            return Path(found)
        return next((place for place in self._places() if place.is_file()), None)

    def _places(self) -> Iterator[Path]:
        yield from self._on_path(WINDOWLESS)
        yield from self._downloads(_PLAYWRIGHT_WINDOWLESS)
        yield from self._on_path(*NAMES)
        if self.platform == "darwin":
            yield from (top / place for place in _MAC for top in (self.root, self.home))
        if self.platform == "win32":
            tops = [self.variables.get(name) for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")]
            yield from (Path(top) / place for place in _WINDOWS for top in tops if top)
        yield from self._downloads(_PLAYWRIGHT)

    def _on_path(self, *names: str) -> Iterator[Path]:
        found = (shutil.which(name, path=self.variables.get("PATH", "")) for name in names)
        yield from (Path(place) for place in found if place)

    def _downloads(self, patterns: Iterable[str]) -> Iterator[Path]:
        for pattern in patterns:
            yield from sorted(self._playwright().glob(pattern), reverse=True)

    def _playwright(self) -> Path:
        chosen = self.variables.get("PLAYWRIGHT_BROWSERS_PATH")
        if chosen and chosen != "0":
            return Path(chosen)
        if self.platform == "darwin":
            return self.home / "Library" / "Caches" / "ms-playwright"
        if self.platform == "win32":
            return Path(self.variables.get("LOCALAPPDATA", str(self.home))) / "ms-playwright"
        return Path(self.variables.get("XDG_CACHE_HOME") or self.home / ".cache") / "ms-playwright"

    def can_install(self) -> bool:
        """Whether apt can install one here: as root on Debian (Ubuntu's package is a stub for another store)."""
        if self.platform != "linux" or not hasattr(os, "geteuid") or os.geteuid() != 0:
            return False
        try:
            is_debian = platform.freedesktop_os_release()["ID"] == "debian"
        except OSError:
            return False
        return is_debian and shutil.which("apt-get", path=self.variables.get("PATH")) is not None


def ensure_chromium(*, logs: Path, python: Path, machine: Machine | None = None) -> Path:
    """A browser for the browser test, installed if need be; CommandError names the command that installs one."""
    machine = machine or Machine()
    hint = (
        f"Install one with\n    {python} -m playwright install --with-deps --only-shell chromium\n"
        "or name the program of an installed one in the environment variable CHROMIUM, then run the command again."
    )
    found = machine.find()
    if found is None and machine.can_install():
        say("Installing Debian's Chromium for the browser test (apt-get)")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "--yes", "--no-install-recommends", WINDOWLESS]
        run_visibly(["apt-get", "update"], log=logs / "setup-apt-update.log", hint=hint)
        run_visibly(install, log=logs / "setup-apt.log", hint=hint, environment=quiet)
        found = machine.find()
    if found is None:
        raise CommandError(f"The browser test needs Chromium, Chrome or Edge, and none was found. {hint}")
    return found
