"""`new` and `upgrade`: turn this copy of the template into a fork, and merge a newer engine into it.

Both use Copier (https://copier.readthedocs.io). Its answers file says what a fork was made from, and how.
`new` needs nothing but Python, so that Copier itself can run it after a copy.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from itertools import dropwhile
from typing import TYPE_CHECKING

from local.config import LocalConfig
from local.exit_codes import FAILED, OK
from local.progress import CommandError, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ANSWERS = ".copier-answers.yml"
TEMPLATE_ALONE = ("tests/template", "copier.yml", "{{_copier_conf.answers_file}}.jinja")
"""What no fork has: the rules about the template itself, and how Copier reads it."""

AUTH_MODES = ("proxy", "federated", "verify")
TENANTS = ("one", "organizations", "consumers")
COMPONENTS = ("tools", "resources", "prompts")

SERVER = '''\
"""What this server is. The engine takes all that it needs to know from here."""

from __future__ import annotations

from app import prompts, resources, tools
from entra_mcp.definition import Server

server = Server(
    name={name},
    instructions="Tools that act for the person who signed in with Microsoft Entra ID.",
    components=(tools, resources, prompts),
)
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What `new` asks, as copier.yml does."""

    server_name: str
    auth_mode: str = "proxy"
    tenants: str = "one"
    samples: bool = True
    licence_holder: str = ""

    def faults(self) -> list[str]:
        """All that is wrong with them."""
        found: list[str] = []
        if not 1 <= len(self.server_name) <= 64 or not self.server_name.isprintable():
            found.append("the server's name has 1 to 64 characters, on one line")
        if self.auth_mode not in AUTH_MODES:
            found.append(f"the auth mode is one of {', '.join(AUTH_MODES)}")
        if self.tenants not in TENANTS:
            found.append(f"the tenants are one of {', '.join(TENANTS)}")
        if not self.licence_holder.isprintable():
            found.append("the licence holder is one line")
        return found


def new(root: Path, answers: Answers, *, template: str | None) -> int:
    """Write the answers into what a fork owns, and remove what only the template needs. The exit code.

    Without `template`, Copier writes the answers file itself.

    Raises:
        CommandError: an answer is faulty, the checkout is a fork already, or the samples have changes nobody committed.
    """
    if faults := answers.faults():
        raise CommandError("Nothing was changed: " + "; ".join(faults) + ".")
    base = None if template is None else _base(root, answers, template)
    _name_server(root, answers)
    if not answers.samples:
        _remove_samples(root)
    _change_sample_settings(root / "local.settings.sample.json", answers)
    if answers.licence_holder:
        _replace(root / "LICENSE", r"(?<=^Copyright \(c\) \d{4} ).*$", answers.licence_holder)
    for name in TEMPLATE_ALONE:
        _remove(root / name)
    if template is not None and base is not None:
        _write_answers(root / ANSWERS, answers, template=template, base=base)
    say(f"{answers.server_name} is yours: src/app and tests/app are the folders to work in.")
    for line in _next_steps(answers):
        say(f"  {line}")
    return OK


def upgrade(root: Path, *, version: str | None, copier: Sequence[str]) -> int:
    """Merge a newer version of the template, the newest unless one is named, into the fork. The exit code.

    Raises:
        CommandError: this is no fork, or has changes that are not committed.
    """
    if not (root / ANSWERS).exists():
        raise CommandError(f"There is no {ANSWERS}: run `make new` first, and commit what it writes.")
    if _git(root, "status", "--porcelain"):
        raise CommandError("There are changes that are not committed. Commit or stash them first.")
    chosen = ["--vcs-ref", version] if version else []
    command = [*copier, "update", "--trust", "--defaults", *chosen]
    merged = subprocess.run(command, cwd=root, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", check=False)
    if merged.returncode:
        say(_reason(merged.stderr))
        say(f"Copier could not update. {ANSWERS} says which commit of the template (_src_path) this fork is made from")
        say("(_commit): the template has to have it. `git status` shows what changed.")
        return FAILED
    sys.stderr.write(merged.stderr)
    changes = [(line[:2], line[3:]) for line in _git(root, "status", "--porcelain").splitlines()]
    for file in [file for change, file in changes if change in {" D", "D "}]:
        say(f"  deleted {file}, which the new version does not have; your last commit has it")
    conflicts = [file for change, file in changes if change in {"UU", "AA"}]
    for file in conflicts:
        say(f"  conflict in {file}")
    if conflicts:
        say("Resolve the conflicts, then run `make test` and commit.")
        return FAILED
    say("Merged without a conflict. Run `make test`, look at `git diff`, and commit.")
    return OK


def _reason(told: str) -> str:
    """What a program said at its end, of a traceback the error alone."""
    end = told.rpartition("Traceback (most recent call last):\n")[2]
    return "\n".join(dropwhile(lambda line: line.startswith(" "), end.strip("\n").splitlines()))


def origin(root: Path) -> str:
    """Where the checkout was cloned from; empty when it has no such place."""
    return _git(root, "config", "--get", "remote.origin.url")


def _next_steps(answers: Answers) -> list[str]:
    steps = [
        "make tool NAME=find_order    # your first tool",
        "make run",
        f"azd env set MCP_SERVER_NAME {shlex.quote(answers.server_name)}    # names the application in Entra ID",
    ]
    if answers.auth_mode != "proxy":
        steps.append(f"azd env set AUTH_MODE {answers.auth_mode}    # for each azd environment, before azd up")
    if answers.tenants != "one":
        steps.append(f"azd env set ENTRA_SIGN_IN_TENANT {answers.tenants}    # likewise")
    return steps


def _base(root: Path, answers: Answers, template: str) -> str:
    """What of the template this is, in Copier's words: a tag, with the commits since then if there are any.

    A repository without the template's history has only the version that it names. CommandError when no fork is to be
    made here.
    """
    if (root / ANSWERS).exists():
        raise CommandError(f"{ANSWERS} is there: this is a fork already. `make upgrade` brings a newer engine into it.")
    if not template:
        raise CommandError("Nothing was changed: no address says where upgrades come from. Give one as --template.")
    if not answers.samples:
        _refuse_to_lose_work(root)
    if template != origin(root):
        return _git(root, "describe", "--tags") or f"v{_version(root)}"
    cloned = _git(root, "merge-base", "HEAD", "origin/HEAD") or "HEAD"
    return _git(root, "describe", "--tags", "--always", cloned) or f"v{_version(root)}"


def _version(root: Path) -> str:
    source = (root / "src" / "entra_mcp" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if found is None:
        raise CommandError("src/entra_mcp/__init__.py names no version.")
    return found[1]


def _name_server(root: Path, answers: Answers) -> None:
    file = root / "src" / "app" / "server.py"
    name = _literal(answers.server_name)
    if answers.samples:
        _replace(file, r'(?<=^    name=)".*"(?=,$)', name)
    else:
        file.write_text(SERVER.format(name=name), "utf-8")


def _literal(text: str) -> str:
    """The text in Python, in the quotes that the formatter chooses: those with fewer escapes."""
    doubled = json.dumps(text, ensure_ascii=False)
    if text.count('"') <= text.count("'"):
        return doubled
    return "'" + doubled[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


def _refuse_to_lose_work(root: Path) -> None:
    if _git(root, "rev-parse", "--is-inside-work-tree") != "true":
        reason = "Git does not keep this folder: run `git init`, `git add --all` and `git commit`, then this again."
        raise CommandError(f"Nothing was changed. To remove the samples deletes files. {reason}")
    changes = _git(root, "status", "--porcelain", "--untracked-files=all", "--", "src/app", "tests/app")
    if changes:
        raise CommandError(f"Nothing was changed. The samples' folders have work of yours; commit it first:\n{changes}")


def _remove_samples(root: Path) -> None:
    app = root / "src" / "app"
    kept = {app / "__init__.py", app / "server.py", *(app / name / "__init__.py" for name in COMPONENTS)}
    for file in [*app.rglob("*"), *(root / "tests" / "app").glob("test_*.py")]:
        if file.is_file() and file not in kept:
            file.unlink()
    for folder in app.iterdir():
        if folder.is_dir() and folder.name not in COMPONENTS:
            shutil.rmtree(folder)


def _change_sample_settings(file: Path, answers: Answers) -> None:
    sample = json.loads(file.read_text("utf-8"))
    sample["Values"]["AUTH_MODE"] = answers.auth_mode
    if answers.tenants != "one":
        sample["Values"]["ENTRA_TENANT_ID"] = answers.tenants
        sample["Values"]["ENTRA_AUTHORIZATION_ENDPOINT"] = LocalConfig().authorization_endpoint(answers.tenants)
    file.write_text(json.dumps(sample, indent=2) + "\n", "utf-8")


def _write_answers(file: Path, answers: Answers, *, template: str, base: str) -> None:
    """In the form of Copier's own; text in JSON is text in YAML."""
    values = {"_commit": base, "_src_path": template, **dict(sorted(asdict(answers).items()))}
    lines = "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())
    file.write_text(f"# Changes here are overwritten by Copier; `make upgrade` reads it.\n{lines}", "utf-8")


def _replace(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, lambda _: replacement, file.read_text("utf-8"), count=1, flags=re.MULTILINE)
    if not count:
        raise CommandError(f"{file.name} has another form than the template's; change it by hand.")
    file.write_text(text, "utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _git(root: Path, *arguments: str) -> str:
    try:
        ran = subprocess.run(["git", *arguments], cwd=root, capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        raise CommandError("There is no `git` on PATH, which a fork needs for its upgrades: install it.") from None
    return ran.stdout.strip("\n")
