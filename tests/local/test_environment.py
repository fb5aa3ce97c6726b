"""The set-up of a checkout: built once from what is locked, taken up again after a failure, never trampled on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from local.config import REPOSITORY
from local.setup.chromium import Machine, ensure_chromium
from local.setup.environment import Environment, SetupError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="its stand-ins for node, npm and apt-get are shell scripts")


def script(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


class Checkout:
    """A small checkout: one package that needs no index, and a package-lock.json."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[str] = []
        self.environment = Environment(root=root, say=self.said.append)
        package = root / "package"
        package.mkdir(parents=True)
        wheel(package / "tiny-1.0-py3-none-any.whl")
        self.require(f"tiny @ {(package / 'tiny-1.0-py3-none-any.whl').as_uri()}")
        (root / "package-lock.json").write_text('{"lockfileVersion": 3}')
        self.tools = root / "tools"
        self.fake_node("v20.11.0")
        script(self.tools, "npm", f'echo "$@" >> {root}/npm-calls\n{INSTALL_AZURITE.format(root=root)}')

    def require(self, *lines: object) -> None:
        self.environment.requirements.write_text("".join(f"{line}\n" for line in lines))

    def has_environment(self) -> None:
        """A .venv that is there but not set up; it borrows this environment's pip, for making one takes seconds."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.environment.venv)], check=True)
        (packages,) = self.environment.venv.glob("lib/python*/site-packages")
        (packages / "pip").symlink_to(next(REPOSITORY.glob(".venv/lib/python*/site-packages/pip")))

    def fake_node(self, version: str) -> None:
        script(self.tools, "node", f"echo {version}")

    def npm_calls(self) -> list[str]:
        calls = self.root / "npm-calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def can_import(self, name: str) -> bool:
        return subprocess.run([self.environment.python, "-c", f"import {name}"], check=False).returncode == 0


INSTALL_AZURITE = "mkdir -p {root}/node_modules/azurite && echo '{{}}' > {root}/node_modules/azurite/package.json"


def wheel(file: Path) -> None:
    """A package with one empty module, packed by hand: building one would need the network."""
    import zipfile

    name, version = file.name.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    monkeypatch.setenv("PATH", f"{made.tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return made


def test_first_set_up_builds_all_and_the_second_costs_next_to_nothing(checkout: Checkout) -> None:
    checkout.environment.ensure(node=True)
    assert checkout.can_import("tiny")
    assert checkout.npm_calls() == ["ci --no-audit --no-fund"]
    assert any(line.startswith("Making .venv with Python 3.") for line in checkout.said)
    assert any(line.startswith("Installing 1 Python packages") for line in checkout.said)
    assert any(line.startswith("Installing Azurite") for line in checkout.said)
    checkout.said.clear()
    began = time.perf_counter()
    checkout.environment.ensure(node=True)
    assert time.perf_counter() - began < 0.1
    assert checkout.said == []
    assert len(checkout.npm_calls()) == 1


def test_changed_requirements_are_installed_into_the_same_environment(checkout: Checkout) -> None:
    checkout.has_environment()
    checkout.environment.ensure(node=False)
    marker = checkout.environment.venv / "marker"
    marker.touch()
    another = checkout.root / "package" / "another-1.0-py3-none-any.whl"
    wheel(another)
    checkout.require(another)
    checkout.environment.ensure(node=False)
    assert checkout.can_import("another")
    assert marker.exists()


def test_changed_package_lock_runs_npm_again(checkout: Checkout) -> None:
    checkout.has_environment()
    checkout.environment.ensure(node=True)
    (checkout.root / "package-lock.json").write_text('{"lockfileVersion": 3, "changed": true}')
    checkout.environment.ensure(node=True)
    assert len(checkout.npm_calls()) == 2


def test_missing_azurite_runs_npm_again(checkout: Checkout) -> None:
    checkout.has_environment()
    checkout.environment.ensure(node=True)
    shutil.rmtree(checkout.environment.node_modules / "azurite")
    checkout.environment.ensure(node=True)
    assert len(checkout.npm_calls()) == 2


def test_failed_installation_is_told_and_taken_up_again(checkout: Checkout) -> None:
    checkout.has_environment()
    good = checkout.environment.requirements.read_text()
    checkout.require("no-such-package-anywhere==1.0")
    with pytest.raises(SetupError, match="no-such-package-anywhere") as caught:
        checkout.environment.ensure(node=False)
    assert "Check the network" in str(caught.value)
    assert str(checkout.environment.logs / "setup-pip.log") in str(caught.value)
    checkout.environment.requirements.write_text(good)
    checkout.environment.ensure(node=False)
    assert checkout.can_import("tiny")


@pytest.mark.long
def test_set_up_that_was_killed_is_taken_up_again(checkout: Checkout) -> None:
    code = "import sys; from pathlib import Path; from local.setup.environment import Environment\n"
    code += "Environment(root=Path(sys.argv[1])).ensure(node=False)"
    killed = subprocess.Popen([sys.executable, "-c", code, str(checkout.root)], cwd=REPOSITORY, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not checkout.environment.venv.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    checkout.environment.ensure(node=False)
    assert checkout.can_import("tiny")


def test_failed_change_of_the_requirements_leaves_no_stamp_of_the_old_ones(checkout: Checkout) -> None:
    checkout.has_environment()
    checkout.environment.ensure(node=False)
    good = checkout.environment.requirements.read_text()
    checkout.require("no-such-package-anywhere==1.0")
    with pytest.raises(SetupError):
        checkout.environment.ensure(node=False)
    checkout.environment.requirements.write_text(good)
    checkout.said.clear()
    checkout.environment.ensure(node=False)
    assert any(line.startswith("Installing 1 Python packages") for line in checkout.said)


def test_failed_change_of_the_package_lock_leaves_no_stamp_of_the_old_one(checkout: Checkout) -> None:
    checkout.has_environment()
    checkout.environment.ensure(node=True)
    lock = checkout.root / "package-lock.json"
    good, working = lock.read_text(), (checkout.tools / "npm").read_text()
    lock.write_text('{"lockfileVersion": 3, "changed": true}')
    script(checkout.tools, "npm", "exit 1")
    with pytest.raises(SetupError):
        checkout.environment.ensure(node=True)
    lock.write_text(good)
    (checkout.tools / "npm").write_text(working)
    checkout.environment.ensure(node=True)
    assert len(checkout.npm_calls()) == 2


def test_missing_node_is_told_before_anything_is_installed(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SetupError, match=r"Node\.js is not on PATH"):
        checkout.environment.ensure(node=True)
    assert not checkout.environment.venv.exists()
    assert checkout.said == []


@pytest.mark.long
def test_environment_of_a_python_that_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.environment.ensure(node=False)
    checkout.environment.python.unlink()
    checkout.environment.python.symlink_to("/no/such/python3.13")
    checkout.environment.ensure(node=False)
    assert checkout.can_import("tiny")


@pytest.mark.long
def test_concurrent_set_ups_wait_for_each_other(checkout: Checkout) -> None:
    code = "import sys; from pathlib import Path; from local.setup.environment import Environment\n"
    code += "Environment(root=Path(sys.argv[1])).ensure(node=True)"
    command = [sys.executable, "-c", code, str(checkout.root)]
    both = [
        subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=100)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("Making .venv" in text for text in told) == 1
    assert sum("Another set-up of this checkout is under way" in text for text in told) == 1
    assert len(checkout.npm_calls()) == 1


@pytest.mark.parametrize("missing", ["node", "npm"])
def test_missing_node_or_npm_is_explained(checkout: Checkout, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    (checkout.tools / missing).unlink()
    monkeypatch.setenv("PATH", str(checkout.tools))
    with pytest.raises(SetupError, match=r"is not on PATH.*Install Node 20 or newer, npm included"):
        checkout.environment.install_azurite()


@pytest.mark.parametrize("version", ["v18.20.0", "v9.0.0", "nonsense"])
def test_old_node_is_refused(checkout: Checkout, version: str) -> None:
    checkout.fake_node(version)
    with pytest.raises(SetupError, match=rf"is Node {version}\. Install Node 20 or newer"):
        checkout.environment.install_azurite()
    assert checkout.npm_calls() == []


def test_failing_npm_shows_what_it_said(checkout: Checkout) -> None:
    script(checkout.tools, "npm", "echo 'npm error code E401' >&2; exit 1")
    with pytest.raises(SetupError, match="npm error code E401"):
        checkout.environment.install_azurite()


def test_command_is_run_again_inside_the_environment(checkout: Checkout) -> None:
    checkout.has_environment()
    (checkout.root / "local").mkdir()
    (checkout.root / "local" / "__main__.py").write_text("import sys; print(sys.prefix, *sys.argv[1:]); sys.exit(7)")
    checkout.environment.ensure(node=False)
    code = "import sys; from pathlib import Path; from local.setup.environment import Environment\n"
    code += "sys.exit(Environment(root=Path(sys.argv[1])).enter(['run', '--check', 'a b']))"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(checkout.root)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 7
    assert ended.stdout == f"{checkout.environment.venv} run --check a b\n"


def test_environment_knows_whether_it_runs_inside(checkout: Checkout) -> None:
    assert not checkout.environment.is_current()
    here = Environment(root=REPOSITORY)
    assert here.is_current() is (os.path.realpath(sys.prefix) == os.path.realpath(REPOSITORY / ".venv"))


# Chromium


def machine(root: Path, *, platform: str = "linux", **variables: str) -> Machine:
    return Machine(platform=platform, variables={"PATH": str(root / "bin"), **variables}, home=root / "home", root=root)


def place(root: Path, relative: str) -> Path:
    script((root / relative).parent, (root / relative).name, "exit 0")
    return root / relative


@pytest.mark.parametrize(
    "name", ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge"]
)
def test_browser_on_path_is_found(tmp_path: Path, name: str) -> None:
    expected = place(tmp_path, f"bin/{name}")
    assert machine(tmp_path).find() == expected


def test_named_browser_wins_and_a_wrong_name_is_told(tmp_path: Path) -> None:
    place(tmp_path, "bin/chromium")
    mine = place(tmp_path, "mine/browser")
    assert machine(tmp_path, CHROMIUM=str(mine)).find() == mine
    with pytest.raises(SetupError, match=r"CHROMIUM is set to /no/browser"):
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
    ],
)
def test_browser_is_found_in_the_usual_places(tmp_path: Path, platform: str, relative: str) -> None:
    expected = place(tmp_path, relative)
    there = machine(tmp_path, platform=platform, PROGRAMFILES=str(tmp_path / "programs"))
    if "ms-playwright" in relative and platform == "win32":
        there = machine(tmp_path, platform=platform, LOCALAPPDATA=str(tmp_path / "programs"))
    assert there.find() == expected


def test_playwright_folder_of_ones_own_is_looked_at(tmp_path: Path) -> None:
    expected = place(tmp_path, "browsers/chromium-9/chrome-linux/chrome")
    assert machine(tmp_path, PLAYWRIGHT_BROWSERS_PATH=str(tmp_path / "browsers")).find() == expected


def test_missing_browser_is_explained_with_the_command_that_installs_one(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="/my/python -m playwright install --with-deps chromium"):
        ensure_chromium(logs=tmp_path, python=tmp_path.__class__("/my/python"), machine=machine(tmp_path))


@pytest.mark.parametrize(
    ("release", "expected"),
    [("ID=debian\nVERSION_ID=13\n", True), ("ID=ubuntu\nID_LIKE=debian\n", False), ("ID=fedora\n", False)],
)
def test_only_debian_is_installed_from(tmp_path: Path, release: str, *, expected: bool) -> None:
    place(tmp_path, "bin/apt-get")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "os-release").write_text(release)
    assert machine(tmp_path).can_install() is (expected and os.geteuid() == 0)
    assert not machine(tmp_path, platform="darwin").can_install()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root installs packages")
def test_debians_chromium_is_installed_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "os-release").write_text("ID=debian\n")
    install = (
        f'echo "$DEBIAN_FRONTEND $@" >> {tmp_path}/calls; [ "$1" = install ] && cp "$0" {tmp_path}/bin/chromium; exit 0'
    )
    script(tmp_path / "bin", "apt-get", install)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    said: list[str] = []
    found = ensure_chromium(
        logs=tmp_path / "logs", python=tmp_path / "python", machine=machine(tmp_path), say=said.append
    )
    assert found == tmp_path / "bin" / "chromium"
    assert (
        (tmp_path / "calls")
        .read_text()
        .splitlines()[-1]
        .endswith("noninteractive install --yes --no-install-recommends chromium")
    )
    assert said[0] == "Installing Debian's Chromium for the browser test (apt-get)"


def test_package_files_name_what_the_set_up_installs() -> None:
    package = json.loads((REPOSITORY / "package.json").read_text())
    assert package["devDependencies"]["azurite"]
    assert "pytest==" in (REPOSITORY / "requirements-dev.txt").read_text()
