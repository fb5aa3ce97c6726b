"""The set-up of a checkout: built once from what is locked, taken up again after a failure, never trampled on."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.config import REPOSITORY
from local.progress import CommandError
from local.setup.environment import DEV, Environment
from local.setup.uv import FROM_PIP, LIKE_PIP, uv_environment

pytestmark = pytest.mark.skipif(os.name != "posix", reason="its stand-ins for node, npm and apt-get are shell scripts")

UV = Path(sys.executable).with_name("uv")
INSTALL_AZURITE = "mkdir -p {root}/node_modules/azurite && echo '{{}}' > {root}/node_modules/azurite/package.json"


def script(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


class Checkout:
    """A small checkout: one package in each locked file, none of which needs an index, and a package-lock.json."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = Environment(root=root)
        self.packages = root / "packages"
        self.packages.mkdir(parents=True)
        for file, name in zip(DEV, ("runs", "helps", "tests"), strict=True):
            self.require(file, wheel(self.packages, name))
        (root / "package-lock.json").write_text('{"lockfileVersion": 3}')
        self.tools = root / "tools"
        self.tools.mkdir()
        (self.tools / "uv").symlink_to(UV)
        self.fake_node("v20.11.0")
        script(self.tools, "npm", f'echo "$@" >> {root}/npm-calls\n{INSTALL_AZURITE.format(root=root)}')

    def require(self, file: str, package: Path) -> None:
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        requirement = f"{package.name.split('-')[0]} @ {package.as_uri()}"
        (self.root / file).write_text(f"{requirement} \\\n    --hash=sha256:{digest}\n")

    def require_what_is_not_there(self) -> None:
        (self.root / DEV[0]).write_text(f"no-such-package-anywhere==1.0 --hash=sha256:{'0' * 64}\n")

    def fake_node(self, version: str) -> None:
        script(self.tools, "node", f"echo {version}")

    def npm_calls(self) -> list[str]:
        calls = self.root / "npm-calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def as_a_process(self, call: str) -> list[str]:
        """The command line that calls a method of the environment in a process of its own."""
        imports = "import sys; from pathlib import Path; from local.setup.environment import Environment"
        code = f"{imports}; sys.exit(Environment(root=Path({str(self.root)!r})).{call})"
        return [sys.executable, "-c", code]

    def installed(self) -> set[str]:
        found = self.environment.venv.glob("lib/python*/site-packages/*.dist-info")
        return {folder.name.split("-")[0] for folder in found} - {"pip"}


def wheel(folder: Path, name: str, *, program: str = "") -> Path:
    """A package with one empty module, packed by hand: building one would need the network."""
    file, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        if program:
            executable = zipfile.ZipInfo(f"{name}-1.0.data/scripts/{name}")
            executable.external_attr = 0o100755 << 16
            archive.writestr(executable, f"#!/bin/sh\n{program}\n")
    return file


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    monkeypatch.setenv("PATH", f"{made.tools}{os.pathsep}{os.environ['PATH']}")
    for name in ("PIP_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")
    return made


def headlines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was said since the last time, but for what a command that goes on has said."""
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]


def test_first_set_up_builds_all_and_the_second_does_nothing(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.environment.ensure(node=True, dev=True)
    assert checkout.installed() == {"runs", "helps", "tests"}
    assert checkout.npm_calls() == ["ci --ignore-scripts --prefer-offline --no-audit --no-fund"]
    assert headlines(capsys) == [
        "Installing Azurite, the storage emulator, from package-lock.json",
        f"Creating .venv with Python 3.{sys.version_info[1]}",
        "Installing the Python packages of requirements.txt, requirements-local.txt, requirements-dev.txt",
        "Waiting for Azurite's installation",
    ]
    checkout.environment.ensure(node=True, dev=True)
    checkout.environment.ensure(node=True, dev=False)
    assert capsys.readouterr().out == ""
    assert len(checkout.npm_calls()) == 1


def test_packages_of_the_tests_come_with_the_first_command_that_needs_them(checkout: Checkout) -> None:
    checkout.environment.ensure(node=False, dev=False)
    assert checkout.installed() == {"runs", "helps"}
    checkout.environment.ensure(node=False, dev=True)
    assert checkout.installed() == {"runs", "helps", "tests"}


@pytest.mark.parametrize("file", DEV)
def test_changed_requirements_are_installed_into_the_same_environment(checkout: Checkout, file: str) -> None:
    checkout.environment.ensure(node=False, dev=True)
    marker = checkout.environment.venv / "marker"
    marker.touch()
    checkout.require(file, wheel(checkout.packages, "another"))
    checkout.environment.ensure(node=False, dev=True)
    assert "another" in checkout.installed()
    assert marker.exists()


def test_package_with_another_hash_is_refused(checkout: Checkout) -> None:
    wheel(checkout.packages, "runs", program="exit 0")
    with pytest.raises(CommandError, match="Hash mismatch"):
        checkout.environment.ensure(node=False, dev=False)


def test_changed_package_lock_runs_npm_again(checkout: Checkout) -> None:
    checkout.environment.ensure(node=True, dev=False)
    (checkout.root / "package-lock.json").write_text('{"lockfileVersion": 3, "changed": true}')
    checkout.environment.ensure(node=True, dev=False)
    assert len(checkout.npm_calls()) == 2


def test_missing_azurite_runs_npm_again(checkout: Checkout) -> None:
    checkout.environment.ensure(node=True, dev=False)
    shutil.rmtree(checkout.environment.node_modules / "azurite")
    checkout.environment.ensure(node=True, dev=False)
    assert len(checkout.npm_calls()) == 2


def test_failed_installation_is_told_and_taken_up_again(checkout: Checkout) -> None:
    good = (checkout.root / DEV[0]).read_text()
    checkout.require_what_is_not_there()
    with pytest.raises(CommandError, match="no-such-package-anywhere") as caught:
        checkout.environment.ensure(node=False, dev=False)
    assert "Check the network" in str(caught.value)
    assert str(checkout.environment.logs / "setup-uv.log") in str(caught.value)
    (checkout.root / DEV[0]).write_text(good)
    checkout.environment.ensure(node=False, dev=False)
    assert checkout.installed() == {"runs", "helps"}


@pytest.mark.long
def test_set_up_that_was_killed_is_taken_up_again(checkout: Checkout) -> None:
    command = checkout.as_a_process("ensure(node=False, dev=False)")
    killed = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not checkout.environment.venv.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    checkout.environment.ensure(node=False, dev=False)
    assert checkout.installed() == {"runs", "helps"}


def test_failed_change_of_the_requirements_leaves_no_stamp_of_the_old_ones(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.environment.ensure(node=False, dev=False)
    good = (checkout.root / DEV[0]).read_text()
    checkout.require_what_is_not_there()
    with pytest.raises(CommandError):
        checkout.environment.ensure(node=False, dev=False)
    (checkout.root / DEV[0]).write_text(good)
    capsys.readouterr()
    checkout.environment.ensure(node=False, dev=False)
    assert headlines(capsys) == ["Installing the Python packages of requirements.txt, requirements-local.txt"]


def test_failed_change_of_the_package_lock_leaves_no_stamp_of_the_old_one(checkout: Checkout) -> None:
    checkout.environment.ensure(node=True, dev=False)
    lock = checkout.root / "package-lock.json"
    good, working = lock.read_text(), (checkout.tools / "npm").read_text()
    lock.write_text('{"lockfileVersion": 3, "changed": true}')
    script(checkout.tools, "npm", "exit 1")
    with pytest.raises(CommandError):
        checkout.environment.ensure(node=True, dev=False)
    lock.write_text(good)
    (checkout.tools / "npm").write_text(working)
    checkout.environment.ensure(node=True, dev=False)
    assert len(checkout.npm_calls()) == 2


def test_missing_node_is_told_before_anything_is_installed(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CommandError, match="node is not on PATH"):
        checkout.environment.ensure(node=True, dev=True)
    assert not checkout.environment.venv.exists()
    assert capsys.readouterr().out == ""


def test_environment_of_a_python_that_is_gone_is_made_again(checkout: Checkout) -> None:
    checkout.environment.ensure(node=False, dev=False)
    checkout.environment.python.unlink()
    checkout.environment.python.symlink_to("/no/such/python3.13")
    checkout.environment.ensure(node=False, dev=False)
    assert checkout.environment.python.exists()
    assert checkout.installed() == {"runs", "helps"}


@pytest.mark.long
def test_concurrent_set_ups_wait_for_each_other(checkout: Checkout) -> None:
    command = checkout.as_a_process("ensure(node=True, dev=False)")
    waits, goes_on = "Another set-up of this checkout is under way", checkout.root / "goes-on"
    install = INSTALL_AZURITE.format(root=checkout.root)
    script(
        checkout.tools,
        "npm",
        f'echo "$@" >> {checkout.root}/npm-calls\nuntil [ -e {goes_on} ]; do sleep 0.05; done\n{install}',
    )
    said = [checkout.root / name for name in ("one", "other")]
    with ExitStack() as stack:
        sinks = [stack.enter_context(file.open("w")) for file in said]
        both = [subprocess.Popen(command, cwd=REPOSITORY, stdout=sink, stderr=subprocess.STDOUT) for sink in sinks]
        while not any(waits in file.read_text() for file in said):
            assert all(process.poll() is None for process in both), [file.read_text() for file in said]
            time.sleep(0.05)
        goes_on.touch()
        assert [process.wait(100) for process in both] == [0, 0], [file.read_text() for file in said]
    told = [file.read_text() for file in said]
    assert sum("Creating .venv" in text for text in told) == 1
    assert sum(waits in text for text in told) == 1
    assert len(checkout.npm_calls()) == 1


ENTERED = "import sys; print(sys.prefix, sys.dont_write_bytecode, *sys.argv[1:]); sys.exit(7)"


def test_command_is_run_again_inside_the_environment(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.environment.ensure(node=False, dev=False)
    (checkout.root / "local").mkdir()
    (checkout.root / "local" / "__main__.py").write_text(ENTERED)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    command = checkout.as_a_process("enter(['run', '--check', 'a b'])")
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 7
    assert ended.stdout == f"{checkout.environment.venv} False run --check a b\n"


def test_environment_knows_whether_it_runs_inside(checkout: Checkout) -> None:
    assert not checkout.environment.is_current()
    here = Environment(root=REPOSITORY)
    assert here.is_current() is (os.path.realpath(sys.prefix) == os.path.realpath(REPOSITORY / ".venv"))


# uv


@pytest.mark.long
def test_locked_uv_is_installed_where_none_is_on_path(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    script(checkout.tools, "uv", "echo 'uv: command not found' >&2; exit 127")  # what a version manager leaves behind
    checkout.require(DEV[1], wheel(checkout.packages, "uv", program=f'exec {UV} "$@"'))
    checkout.environment.ensure(node=False, dev=False)
    assert checkout.installed() == {"runs", "uv"}
    assert "Installing uv, which installs the Python packages in seconds" in headlines(capsys)
    assert (checkout.environment.logs / "setup-uv.log").exists()


@pytest.mark.long
def test_pip_installs_where_uv_does_not_run(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    script(checkout.tools, "uv", "exit 127")
    checkout.require(DEV[1], wheel(checkout.packages, "uv", program="exit 126"))
    checkout.environment.ensure(node=False, dev=False)
    assert checkout.installed() == {"runs", "uv"}
    assert "uv does not run on this machine, so pip installs the packages. That takes minutes." in headlines(capsys)
    assert (checkout.environment.logs / "setup-pip.log").exists()


SETTINGS = r"""
global.find-links='/one\n/two'
:env:.index-url='https://variable.example/simple'
global.index-url='https://file.example/simple'
global.extra-index-url='https://one.example https://two.example'
install.trusted-host='file.example'
global.cert='/etc/ca.pem'
global.timeout='60'
"""


@pytest.fixture
def base_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test puts the Python whose pip is asked, without a variable of uv's own."""
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    for name in (*LIKE_PIP, *FROM_PIP.values()):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"


def test_uv_gets_what_pip_is_set_to_unless_its_own_variable_is_set(
    base_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(base_python.parent, base_python.name, f"cat <<'END'{SETTINGS}END")
    monkeypatch.setenv("SSL_CERT_FILE", "/my/ca.pem")
    assert uv_environment() == {
        **LIKE_PIP,
        "UV_DEFAULT_INDEX": "https://variable.example/simple",
        "UV_INDEX": "https://one.example https://two.example",
        "UV_FIND_LINKS": "/one,/two",
        "UV_INSECURE_HOST": "file.example",
    }


def test_uv_gets_its_own_settings_alone_where_there_is_no_pip(base_python: Path) -> None:
    assert uv_environment() == LIKE_PIP
    script(base_python.parent, base_python.name, "echo 'No module named pip' >&2; exit 1")
    assert uv_environment() == LIKE_PIP


# Node


@pytest.mark.parametrize("missing", ["node", "npm"])
def test_missing_node_or_npm_is_explained(checkout: Checkout, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    (checkout.tools / missing).unlink()
    monkeypatch.setenv("PATH", str(checkout.tools))
    with pytest.raises(CommandError, match=r"is not on PATH.*Install Node 20 or newer, npm included"):
        checkout.environment.ensure(node=True, dev=False)


@pytest.mark.parametrize("version", ["v18.20.0", "v9.0.0", "nonsense"])
def test_old_node_is_refused(checkout: Checkout, version: str) -> None:
    checkout.fake_node(version)
    with pytest.raises(CommandError, match=rf"is Node {version}\. .* Install Node 20 or newer"):
        checkout.environment.ensure(node=True, dev=False)
    assert checkout.npm_calls() == []


def test_failing_npm_shows_what_it_said(checkout: Checkout) -> None:
    script(checkout.tools, "npm", "echo 'npm error code E401' >&2; exit 1")
    with pytest.raises(CommandError, match="npm error code E401"):
        checkout.environment.ensure(node=True, dev=False)
