"""What a finding says is done, word for word, to the stand-ins; then nothing is found any more."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from ops.preflight.policies import POLICIES
from tests.ops import test_doctor_faults, test_preflight
from tests.ops.test_policies import BUILT_IN, assign, define
from tests.support.azure.cli import AzureCli
from tests.support.azure.deployment import deploy, deploy_code, provision
from tests.support.azure.world import SITE, STORAGE, VAULT, VAULT_ID

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

DAY = f"{datetime.now(UTC) + timedelta(days=60):%Y-%m-%d}"
CHOSEN = {
    "<one that is allowed>": "eastus",
    "<name>=<value>": "owner=us",
    "<a day, such as 2027-03-01>": DAY,
    "<a day that the policy allows>": DAY,
    "<no more than the policy says>": "90",
}
"""What a person chooses who satisfies a policy."""

ASKED: dict[str, Any] = {
    "effect": "Deny",
    "listOfAllowedLocations": ["eastus"],
    "tagName": "owner",
    "maximumValidityInDays": 90,
}
"""Parameters of all assignments; each policy takes its own."""

KNOWN = ("AZURE_KEY_VAULT_NAME", "AZURE_KEY_VAULT_ID", "ENTRA_CLIENT_ID", "ENTRA_APP_UNIQUE_NAME")
"""Outputs of the infrastructure, of which a new environment has none."""


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


def policy_ways(remedy: str) -> list[tuple[str, ...]]:
    """Commands of a sentence: one after `or` takes the place of the one before it."""
    groups: list[list[str]] = []
    for words, command in re.findall(r"([^`]*)`(azd [^`]+)`", remedy):
        if re.search(r"\bor\b", words):
            groups[-1].append(command)
        else:
            groups.append([command])
    return list(product(*groups))


@dataclass
class Shell:
    """Runs what a finding names: az, azd, and this tool."""

    ops: Ops
    base_url: str = ""
    changes: dict[str, str] = field(default_factory=dict[str, str])
    """What was set in azd's environment."""

    def __call__(self, command: str) -> None:
        for placeholder, value in CHOSEN.items():
            command = command.replace(placeholder, value)
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
        elif words == ["env", "refresh"]:
            self.changes |= {"AZURE_KEY_VAULT_NAME": VAULT, "AZURE_KEY_VAULT_ID": VAULT_ID}
        elif words[:2] == ["env", "new"]:
            self.changes = {"AZURE_ENV_NAME": "new", "AZURE_RESOURCE_GROUP": "", **dict.fromkeys(KNOWN, "")}
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


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("fault", PREFLIGHT)
def test_every_way_that_preflight_names_fixes_the_fault(ready: Ops, fault: Fault, number: int) -> None:
    fault(ready.world)
    shell, found = Shell(ready), findings(ready("preflight").text)
    assert all(1 <= len(ways) <= 2 for ways in found)
    for ways in found:
        for command in ways[min(number, len(ways) - 1)]:
            shell(command)
    outcome = ready("preflight", **shell.changes)
    assert outcome.code == 0, outcome.text


@pytest.mark.parametrize("guid", POLICIES)
def test_every_way_to_satisfy_a_policy_does(ready: Ops, guid: str) -> None:
    assign(ready.world, define(ready.world, f"{BUILT_IN}/{guid}"), **ASKED)
    remedy = POLICIES[guid].remedy
    assert f"fix: {remedy}" in ready("preflight").text
    for way in policy_ways(remedy):
        shell = Shell(ready)
        for command in way:
            shell(command)
        outcome = ready("preflight", **shell.changes)
        assert outcome.code == 0, outcome.text
