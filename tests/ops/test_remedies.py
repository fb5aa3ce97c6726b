"""What a finding says is done, word for word, to the stand-ins; then nothing is found any more."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.ops import test_doctor_faults, test_preflight
from tests.support.azure.cli import AzureCli
from tests.support.azure.deployment import deploy, deploy_code, provision
from tests.support.azure.world import SITE, STORAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ops.conftest import Ops, Outcome
    from tests.support.azure.world import World
    from tests.support.smoke_server import SmokeServer

    Fault = Callable[[World], None]

VALUES = {"KEY_VAULT_URL": "https://kv-abcdefghij234.vault.azure.net", "MCP_SERVER_NAME": "Entra MCP Server"}
LOGS = "az monitor app-insights query"
"""Looks for the reason of a fault, and changes nothing."""

BY_A_PERSON = (test_preflight.disabled, test_preflight.no_registrations)
"""What no command fixes: another subscription has to be chosen, an administrator has to give a role."""


def findings(text: str) -> list[list[list[str]]]:
    """For each finding its ways to fix it, each with its commands; ways without a command are left out."""
    return [_ways(re.split(r"\n {0,12}\S|\n\n", fix)[0]) for fix in text.split("fix: ")[1:]]


def _ways(fix: str) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in fix.splitlines():
        step = line.strip()
        if re.match(r"or\b", step):
            found.append([])
        if command := re.search(r"(?:^|: )((?:az|azd|python -m ops) .*)", step):
            found[-1].append(command[1])
    return [commands for commands in found if commands]


@dataclass
class Shell:
    """Runs what a finding names: az, azd, and this tool."""

    ops: Ops
    base_url: str = ""
    changes: dict[str, str] = field(default_factory=dict[str, str])
    """What was set in azd's environment."""

    def __call__(self, command: str) -> None:
        words = shlex.split(re.sub(r"<one of (\w+)[^>]*>", r"\1", command))
        if words[0] == "az":
            name = words[-1].partition("=<value>")[0]
            AzureCli(self.ops.cloud)(command.replace("<value>", VALUES.get(name, "")))
        elif words[0] == "azd":
            self._azd(words[1:])
        else:
            names = {"AZURE_FUNCTION_APP_NAME": SITE, "AZURE_STORAGE_ACCOUNT_NAME": STORAGE}
            outcome = self.ops(*words[3:], **names, **self.changes)
            assert outcome.code == 0, outcome.text

    def _azd(self, words: list[str]) -> None:
        if words == ["provision", "--no-state"]:
            provision(self.ops.world, base_url=self.base_url)
            assert self.ops("postprovision").code == 0, "azd runs its hook"
        elif words == ["deploy"]:
            deploy_code(self.ops.world)
        elif words[:2] == ["env", "set"]:
            self.changes[words[2]] = words[3]
        else:
            # Without --no-state azd finds the template as it deployed it, and does nothing.
            assert words == ["provision"], words


DOCTOR = [fault for fault, _, remedy in test_doctor_faults.FAULTS if remedy != LOGS]
PREFLIGHT = [fault for fault, _, _ in test_preflight.FAULTS if fault not in BY_A_PERSON]


def test_twenty_faults_and_more_have_a_command_that_fixes_them() -> None:
    assert len(DOCTOR) + len(PREFLIGHT) >= 20


@pytest.mark.parametrize("fault", DOCTOR)
def test_every_way_that_doctor_names_fixes_the_fault(
    doctor: Callable[..., Outcome], ops: Ops, server: SmokeServer, fault: Fault
) -> None:
    number, ways = 0, [[""]]
    while number < len(ways):
        ops.cloud.reset()
        deploy(ops.world, base_url=server.url)
        fault(ops.world)
        (ways,) = findings(doctor().text)
        shell = Shell(ops, base_url=server.url)
        for command in ways[number]:
            shell(command)
        outcome = doctor()
        assert outcome.code == 0, f"{ways[number]}\n{outcome.text}"
        number += 1


@pytest.mark.parametrize("fault", PREFLIGHT)
def test_first_way_that_preflight_names_fixes_the_fault(ready: Ops, fault: Fault) -> None:
    fault(ready.world)
    shell = Shell(ready)
    for ways in findings(ready("preflight").text):
        for command in ways[0]:
            shell(command)
    outcome = ready("preflight", **shell.changes)
    assert outcome.code == 0, outcome.text
