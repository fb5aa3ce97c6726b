"""Entra ID's keys: one fetch for many, stale ones in an outage, and no storm of requests for made-up key ids."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from entra_mcp.auth.entra import public_keys
from entra_mcp.auth.entra.public_keys import (
    FRESH_SECONDS,
    STALE_SECONDS,
    UNKNOWN_KEY_SECONDS,
    PublicKeys,
    SigningKeysError,
)
from entra_mcp.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Mapping


class Endpoint:
    """A key set that can be counted, changed and taken away."""

    def __init__(self, *key_ids: str) -> None:
        self.now = 1000.0
        self.asked = 0
        self.up = True
        self.hangs = False
        self.error: Exception | None = None
        self.key_set: Any = {}
        self.publish(*key_ids)

    def publish(self, *key_ids: str) -> None:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(RSAAlgorithm.to_jwk(private.public_key()))
        self.key_set = {"keys": [public | {"kid": key_id, "use": "sig"} for key_id in key_ids]}

    async def fetch(self) -> Mapping[str, Any]:
        self.asked += 1
        await asyncio.sleep(60 if self.hangs else 0)
        if self.error is not None:
            raise self.error
        if not self.up:
            raise SigningKeysError("down")
        return self.key_set

    def keys(self) -> PublicKeys:
        return PublicKeys(fetch=self.fetch, clock=lambda: self.now)


async def test_key_is_fetched_once_while_it_is_fresh() -> None:
    endpoint = Endpoint("a", "b")
    keys = endpoint.keys()
    found = await asyncio.gather(*(keys.get(key_id) for key_id in ["a", "b"] * 20))
    assert all("BEGIN PUBLIC KEY" in (key or "") for key in found)
    assert endpoint.asked == 1
    endpoint.now += FRESH_SECONDS - 1
    await keys.get("a")
    assert endpoint.asked == 1
    endpoint.now += 2
    await keys.get("a")
    await asyncio.sleep(0.01)
    assert endpoint.asked == 2


async def test_key_that_was_rolled_over_is_found_at_its_first_use() -> None:
    endpoint = Endpoint("old")
    keys = endpoint.keys()
    await keys.get("old")
    endpoint.now += UNKNOWN_KEY_SECONDS + 1
    endpoint.publish("old", "new")
    assert await keys.get("new") is not None
    assert endpoint.asked == 2


async def test_made_up_key_ids_are_asked_for_every_thirty_seconds_at_most() -> None:
    endpoint = Endpoint("a")
    keys = endpoint.keys()
    await keys.get("a")
    for number in range(100):
        assert await keys.get(f"made up {number}") is None
        endpoint.now += 0.1
    assert endpoint.asked == 1
    endpoint.now += UNKNOWN_KEY_SECONDS
    await asyncio.gather(*(keys.get(f"again {number}") for number in range(50)))
    assert endpoint.asked == 2


async def test_stale_keys_serve_during_an_outage_for_a_bounded_time() -> None:
    endpoint = Endpoint("a")
    keys = endpoint.keys()
    await keys.get("a")
    endpoint.up = False
    endpoint.now += FRESH_SECONDS + 1
    for _ in range(20):
        assert await keys.get("a") is not None
        await asyncio.sleep(0.001)
    assert endpoint.asked == 2
    with pytest.raises(SigningKeysError):
        await keys.get("perhaps a new one")
    endpoint.now = 1000 + STALE_SECONDS + 1
    with pytest.raises(SigningKeysError):
        await keys.get("a")


async def test_outage_before_the_first_keys_ends_with_the_first_answer() -> None:
    endpoint = Endpoint("a")
    endpoint.up = False
    keys = endpoint.keys()
    for _ in range(3):
        with pytest.raises(SigningKeysError):
            await keys.get("a")
    endpoint.up = True
    assert await keys.get("a") is not None


async def test_there_are_keys_or_it_is_an_outage() -> None:
    endpoint = Endpoint("a")
    endpoint.up = False
    keys = endpoint.keys()
    with pytest.raises(SigningKeysError):
        await keys.ensure()
    endpoint.up = True
    await keys.ensure()
    endpoint.up = False
    await keys.ensure()
    assert endpoint.asked == 2
    endpoint.now += STALE_SECONDS
    with pytest.raises(SigningKeysError):
        await keys.ensure()


async def test_whatever_an_issuer_sends_keys_that_are_known_serve() -> None:
    endpoint = Endpoint("a")
    endpoint.error = RecursionError("lists in lists")
    keys = endpoint.keys()
    with pytest.raises(SigningKeysError, match="RecursionError"):
        await keys.get("a")
    endpoint.error = None
    assert await keys.get("a") is not None
    endpoint.error = RecursionError("lists in lists")
    endpoint.now += FRESH_SECONDS
    assert await keys.get("a") is not None


async def test_endpoint_that_hangs_delays_nobody_whose_key_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_keys, "FETCH_SECONDS", 0.1)
    endpoint = Endpoint("a")
    keys = endpoint.keys()
    await keys.get("a")
    endpoint.hangs = True
    endpoint.now += FRESH_SECONDS + 1
    async with Patience(0.05):
        assert await keys.get("a") is not None
    async with Patience(0.2):
        outcomes = await asyncio.gather(*(keys.get("unknown") for _ in range(20)), return_exceptions=True)
    assert all(isinstance(outcome, SigningKeysError) for outcome in outcomes)
    assert endpoint.asked == 2


async def test_cold_requests_share_one_fetch_and_its_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_keys, "FETCH_SECONDS", 0.1)
    endpoint = Endpoint("a")
    endpoint.hangs = True
    keys = endpoint.keys()
    async with Patience(0.3):
        outcomes = await asyncio.gather(*(keys.get("a") for _ in range(20)), return_exceptions=True)
    assert all(isinstance(outcome, SigningKeysError) for outcome in outcomes)
    assert endpoint.asked == 1


@pytest.mark.parametrize("key_set", [{}, {"keys": []}, {"keys": "no"}, {"keys": [1, None, {}, {"kty": "RSA"}]}])
async def test_key_set_without_a_usable_key_is_an_outage(key_set: Any) -> None:  # noqa: ANN401 - whatever comes
    endpoint = Endpoint("a")
    endpoint.key_set = key_set
    with pytest.raises(SigningKeysError):
        await endpoint.keys().get("a")


async def test_keys_of_another_kind_are_passed_over() -> None:
    endpoint = Endpoint("rsa")
    elliptic = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    endpoint.key_set = {"keys": [elliptic | {"kid": "ec"}, *endpoint.key_set["keys"]]}
    keys = endpoint.keys()
    assert await keys.get("rsa") is not None
    assert await keys.get("ec") is None
