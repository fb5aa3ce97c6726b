"""The store of sessions: which visibility rules it reads, and what becomes of one that nobody would read."""

from __future__ import annotations

import pytest
from key_value.aio.stores.memory import MemoryStore

from entra_mcp.server.sessions import SessionStore, VisibilityRulesError

RULES = {"value": [{"enabled": False, "names": ["add"]}]}
OF_A_USER = "user:issuer:subject:_visibility_rules"


def sessions(store: MemoryStore, *, visibility_rules: bool) -> SessionStore:
    return SessionStore(store, visibility_rules=visibility_rules)


async def test_rules_are_kept_and_read_where_tools_may_write_them() -> None:
    store = MemoryStore()
    await sessions(store, visibility_rules=True).put(OF_A_USER, RULES)
    assert await sessions(store, visibility_rules=True).get(OF_A_USER) == RULES
    assert await sessions(store, visibility_rules=False).get(OF_A_USER) is None


async def test_rule_that_nobody_would_read_is_refused_and_the_setting_is_named() -> None:
    store = MemoryStore()
    with pytest.raises(VisibilityRulesError, match="MCP_VISIBILITY_RULES=true"):
        await sessions(store, visibility_rules=False).put(OF_A_USER, RULES)
    assert await store.get(OF_A_USER) is None


async def test_rules_of_a_session_of_one_request_are_not_looked_for() -> None:
    store, key = MemoryStore(), "5f6e1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b:_visibility_rules"
    await store.put(key, RULES)
    assert await sessions(store, visibility_rules=True).get(key) is None


@pytest.mark.parametrize("key", ["user:issuer:subject:note", "5f6e1a2b-3c4d-4e5f-8a9b-0c1d2e3f4a5b:note"])
@pytest.mark.parametrize("visibility_rules", [True, False])
async def test_what_a_tool_keeps_is_read_whatever_the_rules(key: str, visibility_rules: bool) -> None:
    store = sessions(MemoryStore(), visibility_rules=visibility_rules)
    await store.put(key, {"value": 1})
    assert await store.get(key) == {"value": 1}
