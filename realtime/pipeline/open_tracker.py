"""From a run's options to what finds faces."""

from realtime.config import RunConfig
from realtime.inference.providers import why_not
from realtime.pipeline.engine import FaceFinder
from realtime.tracking.tracker import Tracker


def open_finder(config: RunConfig) -> FaceFinder:
    """The detector that `config` names, loaded and warm. Raises MasqueradeError."""
    if config.detector == "mediapipe":
        from realtime.tracking.mediapipe_detector import MediapipeDetector

        return MediapipeDetector(faces=config.faces)
    # Three small networks in a row: on a graphics card their transfers cost more than they save.
    on_cpu = ("cpu", "openvino")
    provider = config.provider if config.provider in on_cpu else "cpu" if why_not("openvino") else "openvino"
    return Tracker(provider=provider, faces=config.faces, steadiness=config.steadiness)
