"""What clients may suggest while a person fills in the argument of a prompt or the address of a resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.types import PromptReference

from app.samples.reports import FIRST_YEAR, LAST_YEAR, REGIONS, URI

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcp.types import CompletionArgument, CompletionContext, ResourceTemplateReference

REPORT: Mapping[str, Sequence[str]] = {
    "year": [str(year) for year in range(LAST_YEAR, FIRST_YEAR - 1, -1)],
    "region": REGIONS,
}

ARGUMENTS: Mapping[str, Mapping[str, Sequence[str]]] = {URI: REPORT, "review_orders": REPORT}
"""The values of each argument, by the name of the prompt or the template of the resource."""


def complete(
    reference: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,  # noqa: ARG001 - what FastMCP calls; no argument here depends on another
) -> list[str]:
    """The values that begin with what the person has typed."""
    name = reference.name if isinstance(reference, PromptReference) else reference.uri
    values = ARGUMENTS.get(name, {}).get(argument.name, ())
    return [value for value in values if value.startswith(argument.value.lower())]
