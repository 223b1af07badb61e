"""The live loop: capture, detect, align, swap, blend, output.

Importing it comes before every dependency, and turns off what they would report to others: here, and by the
environment in every process started from here.
"""

import os

__version__ = "0.1.0"

os.environ.update(
    ORT_DISABLE_TELEMETRY="1",  # ONNX Runtime 1.29 and newer: a device id and events below ~/.cache, sent to Microsoft
    RAY_USAGE_STATS_ENABLED="0",
    HF_HUB_DISABLE_TELEMETRY="1",
    DO_NOT_TRACK="1",  # what others have agreed on
)
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")  # read when OpenCV is loaded: a header may claim any
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # what is wrong with a file is said in our own line
