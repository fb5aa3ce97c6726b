"""The account of a run: whole lines, nothing but text in a pipe, and lines to paste that stay in one piece."""

from __future__ import annotations

import io
import json
import os
import re

import pytest

from local.account import Account
from local.config import REPOSITORY
from tests.local.place import UP


@pytest.fixture(autouse=True)
def no_colour_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def told(*calls: tuple[str, tuple[object, ...]]) -> str:
    sink = io.StringIO()
    account = Account(file=sink)
    for name, arguments in calls:
        getattr(account, name)(*arguments)
    return sink.getvalue()


def test_pipe_gets_plain_text() -> None:
    text = told(
        ("heading", ("Head",)), ("done", ("step", "detail")), ("failed", ("step", "one\ntwo")), ("progress", ("p",))
    )
    assert text.splitlines() == [
        "",
        "Head",
        "  ok  step                  detail",
        "  FAILED  step: one",
        "      two",
        "        p",
    ]


@pytest.mark.parametrize("text", ['{"a": "[bold]x[/bold]"}', ":smile: [/] [link=x]", "y" * 500, "a  b   c"])
def test_lines_to_paste_are_left_as_they_are(text: str) -> None:
    assert told(("paste", (text,))) == f"      {text}\n"


def test_log_lines_with_brackets_are_no_markup() -> None:
    assert told(("text", ("[error] it broke\n  [/x]",))) == "      [error] it broke\n        [/x]\n"


def test_seconds_are_told_when_known() -> None:
    sink = io.StringIO()
    Account(file=sink).done("step", "detail", seconds=1.234)
    assert sink.getvalue().rstrip().endswith("detail  (1.23 s)")


def test_empty_failure_is_still_one_line() -> None:
    assert told(("failed", ("step", ""))) == "  FAILED  step: \n"


def test_reader_that_is_gone_is_an_error_to_handle_and_no_exit() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink = os.fdopen(writer, "w")
    with pytest.raises(BrokenPipeError):
        Account(file=sink).heading("Head")
    with pytest.raises(BrokenPipeError):
        sink.close()


def test_tasks_of_vs_code_know_the_account_by_its_lines() -> None:
    tasks = json.loads((REPOSITORY / ".vscode" / "tasks.json").read_text())["tasks"]
    (matcher,) = [task["problemMatcher"] for task in tasks if task["label"] == "services"]
    text = told(("heading", ("Starting",)), ("failed", ("ports", "Port 1 is taken")), ("heading", (UP,)))
    found = {
        name: [line for line in text.splitlines() if re.search(pattern, line)]
        for name, pattern in {
            "begin": matcher["background"]["beginsPattern"],
            "problem": matcher["pattern"]["regexp"],
            "end": matcher["background"]["endsPattern"],
        }.items()
    }
    assert found == {"begin": ["Starting"], "problem": ["  FAILED  ports: Port 1 is taken"], "end": [UP]}
