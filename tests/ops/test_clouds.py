"""The tools talk to the cloud that the deployment is in."""

from __future__ import annotations

import pytest

from ops.clouds import CHINA, NAMED, PUBLIC, Cloud, cloud_of
from ops.environment import Environment
from ops.errors import BadInputError

US_GOVERNMENT = NAMED["AzureUSGovernment"]


@pytest.mark.parametrize(
    ("values", "cloud"),
    [
        ({}, PUBLIC),
        ({"AZURE_CLOUD_NAME": "AzureCloud"}, PUBLIC),
        ({"AZURE_CLOUD_NAME": "AzureUSGovernment"}, US_GOVERNMENT),
        ({"AZURE_CLOUD_NAME": "AzureChinaCloud"}, CHINA),
        ({"ENTRA_AUTHORITY": "login.microsoftonline.us"}, US_GOVERNMENT),
        ({"ENTRA_AUTHORITY": "login.microsoftonline.us", "AZURE_CLOUD_NAME": "AzureCloud"}, US_GOVERNMENT),
    ],
)
def test_cloud_follows_from_the_deployment_unless_the_authority_says_another(
    values: dict[str, str], cloud: Cloud
) -> None:
    assert cloud_of(Environment(values)) == cloud


def test_cloud_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadInputError, match="AZURE_CLOUD_NAME"):
        cloud_of(Environment({"AZURE_CLOUD_NAME": "AzureMoon"}))
