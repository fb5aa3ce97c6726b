"""Writes docs/errors, a page for each error code: `python -m tests.template.error_pages`.

The pages say what `python -m ops doctor --explain` says.
"""

from __future__ import annotations

import re

from local.config import REPOSITORY
from local.entra.errors import KINDS
from ops.aadsts import AADSTS, SIGN_IN_ADDRESS
from ops.refusals import REFUSALS
from ops.server_errors import SERVER_ERRORS

FOLDER = REPOSITORY / "docs" / "errors"


PLAY = """\
## See it on your machine

While `make run` is up, this lets the next token request of the server fail with the code:

```sh
curl --cacert .local/tls/ca.pem https://127.0.0.1:7443/_local/faults --json '{{"code": {code}}}'
```
"""


def pages() -> dict[str, str]:
    """The text of each file of the folder, by its name."""
    found = {"README.md": _index()}
    for code, known in AADSTS.items():
        more = f"Microsoft's own page: <{SIGN_IN_ADDRESS}{code}>.\n"
        more += f"\n{PLAY.format(code=code)}" if code in KINDS else ""
        found[f"AADSTS{code}.md"] = _page(f"AADSTS{code}", known.means, known.remedy, "Microsoft Entra ID", more)
    for code, remedy in REFUSALS.items():
        found[f"{code}.md"] = _page(code, "", remedy, "Azure or Microsoft Graph", "")
    for code, known in SERVER_ERRORS.items():
        found[f"{code}.md"] = _page(code, known.means, known.remedy, f"this server, with status {known.status}", "")
    return found


def _page(code: str, means: str, remedy: str, source: str, more: str) -> str:
    linked = re.sub(r"docs/([\w/-]+)\.md(#[\w-]+)?", r"[\1](../\1.md\2)", remedy)
    parts = [f"# {code}", means, f"The error comes from {source}.", f"## What to do\n\n{linked}", more.rstrip()]
    parts.append("[All codes](README.md), and [what else can go wrong](../troubleshooting.md)")
    return "\n\n".join(filter(None, parts)) + ".\n"


def _index() -> str:
    entra = "".join(f"| [AADSTS{code}](AADSTS{code}.md) | {known.means} |\n" for code, known in AADSTS.items())
    others = "".join(f"| [{code}]({code}.md) | {remedy} |\n" for code, remedy in REFUSALS.items())
    own = "".join(
        f"| [{code}]({code}.md) | {known.status} | {known.means} |\n" for code, known in SERVER_ERRORS.items()
    )
    return f"""# Error codes

`python -m ops doctor --explain AADSTS65001` prints the same in a terminal.

## Codes of this server

| code | status | it means |
|---|---|---|
{own}
## Codes of Entra ID

| code | it means |
|---|---|
{entra}
## Codes of Azure and Microsoft Graph

The commands of `python -m ops`, and `azd`, can be refused with these.

| code | what to do |
|---|---|
{others}"""


def main() -> None:
    """Write the folder again."""
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.md"):
        file.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
