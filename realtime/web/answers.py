"""What the page's server answers: JSON, and refusals in one line."""

import json
from typing import Any

from aiohttp import web

from realtime.errors import MasqueradeError


class Refused(MasqueradeError):
    """A request that is not done: `status` for the program, the line for its user."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def refusal(status: int, why: str) -> web.Response:
    """The answer to a request that is not done."""
    return web.json_response({"error": why}, status=status)


async def read_object(request: web.Request, what: str) -> dict[str, Any]:
    """The JSON object in the body; `what` it is of. Raises Refused.

    Only as application/json, which a form of another page cannot send without asking first.
    """
    if request.content_type != "application/json":
        raise Refused(415, "send application/json")
    try:
        body = json.loads(await request.text())
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise Refused(400, f"the body must be an object of {what}")
    return body


async def read_words(request: web.Request, *names: str) -> list[str]:
    """The named texts of a JSON object that holds just these. Raises Refused."""
    body = await read_object(request, " and ".join(names))
    if set(body) != set(names) or not all(isinstance(value, str) for value in body.values()):
        raise Refused(400, f"the body must hold the text{'s' if len(names) > 1 else ''} {', '.join(names)}")
    return [body[name] for name in names]
