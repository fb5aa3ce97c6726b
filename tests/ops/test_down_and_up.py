"""`azd down`, then `azd up` again, of a deployment whose vault nobody can purge: as the documents say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ops.test_postdown import deleted_vault
from tests.support.azure.cli import AzureCli, AzureCliError
from tests.support.azure.world import GROUP_ID, VAULT, VAULT_ID

if TYPE_CHECKING:
    from tests.ops.conftest import Ops

OUTPUTS = dict.fromkeys(("AZURE_KEY_VAULT_NAME", "AZURE_KEY_VAULT_ID", "ENTRA_CLIENT_ID", "ENTRA_APP_UNIQUE_NAME"))
"""What azd forgets."""


@pytest.fixture
def down(ready: Ops) -> Ops:
    """A deployment of the preset prod with its client secret, after `azd down`, which runs the hook before it."""
    (ready.root / ".azure" / "dev").mkdir(parents=True)
    assert ready("postprovision").code == 0
    assert ready("predown").code == 0
    for identifier in (VAULT_ID, GROUP_ID):
        ready.world.resources.pop(identifier.lower(), None)
    deleted_vault(ready.world, purgeProtectionEnabled=True)
    return ready


def test_what_preflight_says_gets_the_protected_vault_back_with_its_secrets(down: Ops) -> None:
    found = down("preflight", **OUTPUTS)
    assert found.code == 1
    remedy = found.text.partition("fix: ")[2].splitlines()
    commands = [line.strip() for line in remedy if line.strip().startswith("az ")]
    az = AzureCli(down.cloud)
    for command in commands:
        az(command)

    assert down("preflight", **OUTPUTS).code == 0
    provisioned = down("postprovision")
    assert provisioned.code == 0
    assert "good until" in provisioned.text
    assert len(down.world.secrets["entra-client-secret"]) == len(down.world.passwords()) == 1


def test_recovery_alone_fails_as_in_azure_where_the_group_went_with_the_deployment(down: Ops) -> None:
    with pytest.raises(AzureCliError, match="ResourceGroupNotFound"):
        AzureCli(down.cloud)(f"az keyvault recover --name {VAULT} --location swedencentral")
