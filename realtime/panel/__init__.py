"""The live page and its small server."""

from realtime.panel.server import Panel

__all__ = ["Panel"]
