"""A placeholder process that becomes the app (function_environment_reload_request) serves it like any other."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from local.config import REPOSITORY


@pytest.mark.parametrize("steps", [["init"], ["reload"], ["placeholder", "reload"]])
def test_app_answers_after_each_way_to_load_it(steps: list[str]) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.engine.functions.specialize", *steps],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)

    assert report[-1]["status"] == 200
    assert all(entry["port"] is None for entry in report[:-1])  # a placeholder has no app to serve
