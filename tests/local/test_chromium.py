"""Which browser the tests and the check take, and where one comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from local.progress import CommandError
from local.setup.chromium import Machine, ensure_chromium
from tests.local.test_environment import script

if TYPE_CHECKING:
    from pathlib import Path


def machine(root: Path, *, platform: str = "linux", **variables: str) -> Machine:
    return Machine(platform=platform, variables={"PATH": str(root / "bin"), **variables}, home=root / "home", root=root)


def place(root: Path, relative: str) -> Path:
    script((root / relative).parent, (root / relative).name, "exit 0")
    return root / relative


@pytest.mark.parametrize(
    "name",
    [
        *("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
        *("microsoft-edge", "msedge"),
    ],
)
def test_browser_on_path_is_found(tmp_path: Path, name: str) -> None:
    expected = place(tmp_path, f"bin/{name}")
    assert machine(tmp_path).find() == expected


@pytest.mark.parametrize(
    "expected", ["bin/chromium-headless-shell", "browsers/chromium_headless_shell-1/chrome-linux/headless_shell"]
)
def test_browser_without_windows_is_preferred(tmp_path: Path, expected: str) -> None:
    for name in ("bin/chromium", "browsers/chromium-1/chrome-linux64/chrome", expected):
        place(tmp_path, name)
    assert machine(tmp_path, PLAYWRIGHT_BROWSERS_PATH=str(tmp_path / "browsers")).find() == tmp_path / expected


def test_named_browser_wins_and_a_wrong_name_is_told(tmp_path: Path) -> None:
    place(tmp_path, "bin/chromium")
    mine = place(tmp_path, "mine/browser")
    assert machine(tmp_path, CHROMIUM=str(mine)).find() == mine
    with pytest.raises(CommandError, match=r"CHROMIUM is set to /no/browser"):
        machine(tmp_path, CHROMIUM="/no/browser").find()


@pytest.mark.parametrize(
    ("platform", "relative"),
    [
        ("darwin", "Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
        ("darwin", "home/Applications/Chromium.app/Contents/MacOS/Chromium"),
        (
            "darwin",
            "home/Library/Caches/ms-playwright/chromium-1234/chrome-mac/Chromium.app/Contents/MacOS/Chromium",
        ),
        ("win32", "programs/Google/Chrome/Application/chrome.exe"),
        ("win32", "programs/Microsoft/Edge/Application/msedge.exe"),
        ("win32", "programs/ms-playwright/chromium-1234/chrome-win/chrome.exe"),
        ("linux", "home/.cache/ms-playwright/chromium-1234/chrome-linux/chrome"),
        ("linux", "home/.cache/ms-playwright/chromium-1234/chrome-linux64/chrome"),
        *(
            (platform, f"{caches}/ms-playwright/chromium_headless_shell-1234/chrome-{file}")
            for platform, caches, file in (
                ("linux", "home/.cache", "headless-shell-linux64/chrome-headless-shell"),
                ("linux", "home/.cache", "linux/headless_shell"),
                ("darwin", "home/Library/Caches", "headless-shell-mac-arm64/chrome-headless-shell"),
                ("win32", "programs", "headless-shell-win64/chrome-headless-shell.exe"),
            )
        ),
    ],
)
def test_browser_is_found_in_the_usual_places(tmp_path: Path, platform: str, relative: str) -> None:
    expected = place(tmp_path, relative)
    programs = str(tmp_path / "programs")
    assert machine(tmp_path, platform=platform, PROGRAMFILES=programs, LOCALAPPDATA=programs).find() == expected


def test_missing_browser_is_explained_with_the_command_that_installs_one(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="/my/python -m playwright install --with-deps --only-shell chromium"):
        ensure_chromium(logs=tmp_path, python=tmp_path.__class__("/my/python"), machine=machine(tmp_path))


@pytest.mark.parametrize(
    ("release", "expected"),
    [({"ID": "debian"}, True), ({"ID": "ubuntu", "ID_LIKE": "debian"}, False), ({"ID": "fedora"}, False)],
)
def test_only_debian_is_installed_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: dict[str, str], *, expected: bool
) -> None:
    place(tmp_path, "bin/apt-get")
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    assert machine(tmp_path).can_install() is (expected and os.geteuid() == 0)
    assert not machine(tmp_path, platform="darwin").can_install()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root installs packages")
def test_debians_chromium_is_installed_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "debian"})
    program = tmp_path / "bin" / "chromium-headless-shell"
    install = f'echo "$DEBIAN_FRONTEND $@" >> {tmp_path}/calls; [ "$1" = install ] && cp "$0" {program}; exit 0'
    script(tmp_path / "bin", "apt-get", install)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    found = ensure_chromium(logs=tmp_path / "logs", python=tmp_path / "python", machine=machine(tmp_path))
    assert found == program
    assert (
        (tmp_path / "calls")
        .read_text()
        .splitlines()[-1]
        .endswith("noninteractive install --yes --no-install-recommends chromium-headless-shell")
    )
    assert capsys.readouterr().out.startswith("Installing Debian's Chromium for the browser test (apt-get)\n")
