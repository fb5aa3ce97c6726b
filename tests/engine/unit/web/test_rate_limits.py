"""Token buckets: what they give, when it comes back, and how much they remember."""

from __future__ import annotations

import pytest

from entra_mcp.web.rate_limits import TokenBuckets
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_bucket_gives_a_minute_s_worth_at_once_and_then_says_how_long_to_wait(clock: Clock) -> None:
    buckets = TokenBuckets(per_minute=6, clock=clock)
    assert [buckets.take("a") for _ in range(6)] == [0.0] * 6
    assert buckets.take("a") == pytest.approx(10.0)
    clock.advance(4)
    assert buckets.take("a") == pytest.approx(6.0), "asking in vain costs nothing"
    clock.advance(6.001)
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 9


def test_bucket_holds_no_more_than_a_minute_s_worth(clock: Clock) -> None:
    buckets = TokenBuckets(per_minute=2, clock=clock)
    clock.advance(3600)
    assert [buckets.take("a") == 0.0 for _ in range(3)] == [True, True, False]


def test_keys_do_not_share(clock: Clock) -> None:
    buckets = TokenBuckets(per_minute=1, clock=clock)
    assert buckets.take("a") == buckets.take("b") == 0.0
    assert buckets.take("a") > 0


def test_memory_is_bounded_and_the_busiest_are_remembered(clock: Clock) -> None:
    buckets = TokenBuckets(per_minute=1, keys=100, clock=clock)
    for number in range(1000):
        buckets.take("busy")
        buckets.take(str(number))
    assert len(buckets) == 100
    assert buckets.take("busy") > 0
