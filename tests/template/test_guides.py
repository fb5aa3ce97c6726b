"""The code of the guides works as it is written, in a fork with the samples and in one without them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from local.config import REPOSITORY
from tests.template.forks import commit, copy_of_the_template, python

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(r"^(?P<before>[^\n]+(?:\n[^\n]+)*)\n\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
ARGUMENTS = re.compile(r"two more arguments: `([^`]+)`")
FILE = re.compile(r"`(src/app/[\w/]+\.py)`")
FUTURE = "from __future__ import annotations\n\n"
TOOLS = {"my_notes", "list_invoices"}

TEST = f'''\
"""What the guides add is offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.mcp import request, result

if TYPE_CHECKING:
    import pytest

    from tests.support.instances import SignedIn


async def test_tools_of_the_guides_are_offered(signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOICES_API_URL", "https://127.0.0.1:7443/apis/invoices")
    async with signed_in() as http:
        listed = result(await http.post("/mcp", **request("tools/list", token="token-of-alice")))
    assert {{each["name"] for each in listed["tools"]}} >= {TOOLS}
'''


def blocks(guide: str, *, until: str = "\0") -> list[tuple[str, str]]:
    """The code of a guide with its file: that which the paragraph before a block names last, or the server's."""
    text = (REPOSITORY / "docs" / "guides" / f"{guide}.md").read_text("utf-8").partition(until)[0]
    found = [(FILE.findall(each["before"]), each["code"]) for each in BLOCK.finditer(text)]
    arguments = [("src/app/server.py", f"    {given},\n") for given in ARGUMENTS.findall(text)]
    return [*arguments, *((files[-1], code) for files, code in found if files)]


def follow(fork: Path, name: str, code: str) -> None:
    """Writes a file, or adds imports, a constant, an argument of the server, a field or a service to one."""
    file = fork / name
    if code.startswith('"""'):
        file.write_text(code)
        return
    text = file.read_text()
    if code.startswith("from "):
        text = text.replace(FUTURE, FUTURE + code, 1)
    elif not code.startswith(" "):
        text = text.replace("server = Server(\n", f"{code}\nserver = Server(\n")
    elif file.name == "server.py":
        text = f"{text.removesuffix(')\n')}{code})\n"
    elif file.name == "services.py":
        text = text.replace("        yield services\n", f"{code}        yield services\n")
    else:
        text += f"\n{code}"
    assert code in text
    file.write_text(text)


@pytest.mark.parametrize(
    "samples", [pytest.param(True, marks=pytest.mark.long), False], ids=["with samples", "without samples"]
)
def test_code_of_the_guides_works_in_a_fork(tmp_path: Path, *, samples: bool) -> None:
    fork = copy_of_the_template(tmp_path)
    commit(fork, "The template")
    chosen = "--samples" if samples else "--no-samples"
    python(fork, "-m", "local", "new", "--name", "Order desk", chosen, "--template", "https://example.com/template.git")
    first = blocks("make-it-yours", until="## 4. Settings and services" if samples else "\0")
    for name, code in [*first, *blocks("database"), *blocks("own-api"), *blocks("roles-and-scopes")]:
        follow(fork, name, code)
    (fork / "tests" / "app" / "test_guides.py").write_text(TEST)
    python(fork, "-m", "ruff", "check", "--select", "F", "--ignore", "F811", "src/app")
    assert " passed" in python(fork, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/app")
