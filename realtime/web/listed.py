"""A file out of a list, for a player or to keep."""

from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from realtime.web.answers import Refused


def listed_file(request: web.Request, files: Sequence[Path]) -> web.FileResponse:
    """The .mp4 that the address names, whole or in the part that a player asks for. Raises Refused.

    The name is compared with those of `files`, and never part of a path.
    """
    name = request.match_info["name"]
    file = next((file for file in files if file.name == name), None)
    if file is None:
        raise Refused(404, "there is no such file")
    how = "attachment" if "download" in request.query else "inline"
    return web.FileResponse(
        file, headers={"Content-Type": "video/mp4", "Content-Disposition": f'{how}; filename="{file.name}"'}
    )
