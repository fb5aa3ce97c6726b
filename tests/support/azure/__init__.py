"""Stand-ins for Resource Manager, Microsoft Graph, Key Vault and Entra ID's token endpoint, as `ops` uses them."""

from tests.support.azure.cloud import CloudStandIn, FakeCredential

__all__ = ["CloudStandIn", "FakeCredential"]
