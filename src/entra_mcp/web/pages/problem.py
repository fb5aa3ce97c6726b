"""The page that shows a person what went wrong, what to do, and by which reference the log knows it.

Threat: what an identity provider, a library or a link says must not become this page's words. The page is chosen by
where and how the request failed; no text of the failure itself is on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from entra_mcp.web.pages.layout import page

if TYPE_CHECKING:
    from starlette.responses import Response

    from entra_mcp.web.pages.layout import Brand


@dataclass(frozen=True, slots=True)
class Problem:
    """What a person needs to know."""

    title: str
    what: str
    todo: str
    leads_home: bool = False


AGAIN = "Close this window, go back to your application, and connect again from there."

EXPIRED = Problem(
    "This sign-in is no longer valid",
    "It was finished before, or took longer than a quarter of an hour.",
    AGAIN,
)
OTHER_BROWSER = Problem(
    "This sign-in began in another browser",
    "A sign-in has to end in the browser in which it began, so that nobody can be made to finish someone else's.",
    f"If somebody sent you the link, do not use it. {AGAIN}",
)
UNKNOWN_APPLICATION = Problem(
    "The server cannot accept this request",
    "Your application is not registered here any more, or it asked for something that the server does not allow.",
    "Close this window and connect again from your application. If that does not help, remove the server there, "
    "together with the sign-in it has kept, and add it again.",
)
UNFINISHED = Problem(
    "The sign-in could not be finished",
    "The server did not get what it needs from Microsoft.",
    AGAIN,
)
UNAVAILABLE = Problem(
    "The server is not available at this moment",
    "Something that it needs does not answer.",
    "Wait a moment and load this page again. You need not start again.",
)
INTERRUPTED = Problem(
    "The server is not available at this moment",
    "Something that it needs to finish the sign-in does not answer.",
    "Wait a moment and load this page again. If that does not finish the sign-in, go back to your application, and "
    "connect again from there.",
)
TOO_MANY = Problem("Too many requests", "The server takes no more of these now.", "Wait a moment and try again.")
NOT_FOUND = Problem(
    "This page does not exist",
    "The server has no page at this address.",
    "Check the address for typing errors.",
    leads_home=True,
)
NOT_FOR_BROWSERS = Problem(
    "This address is not for browsers",
    "Applications use it to talk to the server.",
    "Give it to your application.",
    leads_home=True,
)
FAILED = Problem("The server failed", "Something went wrong that should not have.", "Try again in a moment.")
REFUSED = Problem("The server does not accept this request", "It was not made in a way that is allowed here.", AGAIN)

BY_PLACE = {
    ("/authorize", 400): UNKNOWN_APPLICATION,
    ("/consent", 400): EXPIRED,
    ("/consent", 403): OTHER_BROWSER,
    ("/auth/callback", 400): EXPIRED,
    ("/auth/callback", 403): OTHER_BROWSER,
    ("/auth/callback", 500): UNFINISHED,
    ("/auth/callback", 503): INTERRUPTED,
}

BY_STATUS = {
    401: NOT_FOR_BROWSERS,
    404: NOT_FOUND,
    405: NOT_FOR_BROWSERS,
    406: NOT_FOR_BROWSERS,
    429: TOO_MANY,
    500: FAILED,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}


def problem_page(*, path: str, status: int, brand: Brand, correlation_id: str | None) -> Response:
    """Returns the page for a request to `path` that ends with `status`."""
    problem = BY_PLACE.get((path, status)) or BY_STATUS.get(status, REFUSED)
    home = '<p><a href="/">The home page</a> shows how to connect an application.</p>' if problem.leads_home else ""
    reference = (
        f'<p class="soft">If you ask for help, give this reference: <code>{escape(correlation_id)}</code></p>'
        if correlation_id
        else ""
    )
    return page(
        problem.title,
        f"<h1>{escape(problem.title)}</h1>\n<p>{escape(problem.what)}</p>\n<p>{escape(problem.todo)}</p>\n{home}\n{reference}",
        brand=brand,
        status=status,
    )
