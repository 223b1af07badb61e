"""Which requests the page's server answers, how it reads their bodies, and how it refuses.

Three checks on every request. The `Host` header must be ours: a page of another site whose name was re-pointed to
127.0.0.1 ("DNS rebinding") still sends its own name. The `Origin`, or where the browser sends none `Sec-Fetch-Site`,
must be ours: other pages cannot lie about it. And the cookie must be the one handed out for the one-time token, which
other users of this machine lack. The pattern is that of Jupyter's server, with the token usable once.
"""

import hmac
import json
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from aiohttp import web

from realtime.errors import MasqueradeError

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""On every answer. No CORS header: no other origin may read anything."""


class Auth:
    """Hands out the one-time token and the cookie, and checks requests to 127.0.0.1:`port`. Used by one thread."""

    def __init__(self, port: int) -> None:
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        # Cookies are shared by all ports of a host: the name keeps two runs apart.
        self.cookie_name = f"masquerade_{port}"
        self.cookie = secrets.token_urlsafe(32)
        self._tokens: set[str] = set()

    def new_token(self) -> str:
        token = secrets.token_urlsafe(32)
        self._tokens.add(token)
        return token

    def redeem(self, token: str) -> bool:
        """True for a token never used before; from then on it is used."""
        for known in list(self._tokens):
            if hmac.compare_digest(known.encode(), token.encode("utf-8", "replace")):
                self._tokens.discard(known)
                return True
        return False

    def objection(self, headers: Mapping[str, str], *, websocket: bool = False) -> str | None:
        """Why a request must not be answered; None where Host and Origin are in order."""
        host = headers.get("Host", "").lower()
        if host not in self.hosts:
            return "the Host is not this page's"
        origin = headers.get("Origin")
        if origin is not None and origin.lower() != f"http://{host}":
            return "the Origin is not this page's"
        if origin is None and websocket:
            return "a WebSocket needs an Origin"
        # Absent in old browsers and in programs, which carry no foreign page.
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return "the request comes from another site"
        return None

    def has_cookie(self, headers: Mapping[str, str]) -> bool:
        try:
            morsel = SimpleCookie(headers.get("Cookie", "")).get(self.cookie_name)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(), self.cookie.encode())


class Refused(MasqueradeError):
    """A request that is refused: `status` for the program, the line for its user."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def refusal(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)


async def read_object(request: web.Request, what: str) -> dict[str, Any]:
    """The JSON object in the body; `what` names its content in refusals. Raises Refused."""
    if request.content_type != "application/json":  # a form of another page can't send it without a preflight request
        raise Refused(415, "send application/json")
    try:
        body = json.loads(await request.text())
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise Refused(400, f"the body must be an object of {what}")
    return body


async def read_strings(request: web.Request, *names: str) -> list[str]:
    """The named strings of a JSON object that holds just these. Raises Refused."""
    body = await read_object(request, " and ".join(names))
    if set(body) != set(names) or not all(isinstance(value, str) for value in body.values()):
        raise Refused(400, f"the body must hold the text{'s' if len(names) > 1 else ''} {', '.join(names)}")
    return [body[name] for name in names]
