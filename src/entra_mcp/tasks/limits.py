"""How long tasks may take, wait and be kept, and how often they are tried."""

from __future__ import annotations

from dataclasses import dataclass

DAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All times are in seconds."""

    keep: float = DAY_SECONDS
    """How long after its creation a task is kept, finished or not. Then it is gone."""

    run: float = 540.0
    """How long one run may take: less than `functionTimeout` (host.json), at which the host ends the whole worker."""

    lease: float = 25.0
    """For how long a run holds its task without a sign of life: afterwards another one may take the task over."""

    heartbeat: float = 5.0
    """How often a run renews its lease, writes its progress, and sees whether the task was cancelled."""

    inline: float = 45.0
    """How long a client that did not opt in waits for its call, before that goes on as a task."""

    looks: int = 10
    """How often `task_result` looks at a task that has not ended, every two seconds, before it answers so."""

    late: float = 60.0
    """After how long without a run a task is reported as late (docs/operate.md)."""

    deaths: int = 5
    """How many runs may end with their process, since the last new checkpoint, before the task fails."""

    apart: float = 10.0
    """How long, at most, a task waits after its run has died; `apart_factor` times as long after each further death."""

    apart_factor: int = 6

    outages: int = 8
    """How often, since the last new checkpoint, the sign-in may be out of reach for a run before the task fails."""

    refused: int = 3
    """How often the host may give up a message (poison queue), since the last new checkpoint, before the task fails."""

    backoff: float = 5.0
    """Pause before the first new try after an outage; it doubles each time, up to `longest_backoff`."""

    longest_backoff: float = 600.0
    """The longest pause of a task whose run failed, or died."""

    per_caller: int = 20
    """How many tasks of one person, or of one application, may be unfinished at a time."""

    arguments: int = 256 * 1024
    """Largest arguments of a task, in bytes of JSON."""

    result: int = 8 * 1024 * 1024
    """Largest result of a task, in bytes of JSON."""
