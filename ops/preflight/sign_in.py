"""Who is signed in: without tokens nothing of Azure can be looked at, and nothing deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.errors import SignInError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ops.command import Context
    from ops.http import Api


def refused(context: Context, needed: Mapping[str, Api]) -> Collection[str]:
    """Gets a token for each API, under the name of what is looked at with it; the names that cannot be looked at.

    What several are refused for alike is one finding, which names all that is not looked at because of it.
    """
    found: dict[str, list[tuple[str, SignInError]]] = {}
    for name, api in needed.items():
        try:
            api.tokens.get(api.scope)
        except SignInError as error:
            found.setdefault(error.remedy, []).append((name, error))
    for remedy, cases in found.items():
        names, (_, first) = " and ".join(name for name, _ in cases), cases[0]
        resources = " and ".join(dict.fromkeys(error.resource for _, error in cases))
        context.report.finding(
            "sign-in", f"there is no token for {resources}: {first.said}\nNot looked at: {names}", remedy=remedy
        )
    if not found:
        context.report.ok("sign-in", _account(next(iter(needed.values()))))
    return [name for cases in found.values() for name, _ in cases]


def _account(api: Api) -> str:
    claims = api.tokens.claims(api.scope)
    return str(next((claims[name] for name in ("upn", "unique_name", "appid") if claims.get(name)), ""))
