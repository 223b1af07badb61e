"""The network that finds where a driver's own face shows: hands, cups, hair and glasses before it are cut out."""

import cv2
import numpy as np

from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, cut, invert
from realtime.imaging.align import crop_from_frame
from realtime.inference.image_format import CropFormat, check_port
from realtime.inference.session import Session

MASK_BUNDLE, MASK_FILE = "face_mask", "mask.onnx"
FACE_TYPE, COVERAGE = "whole_face", 1.75
_FORM = CropFormat(160)
_FACE, _VISIBLE = "face", "visible"


class DriverMask:
    """Masks one face after another. Owns `session`; raises ModelError for another network than the bundle's."""

    def __init__(self, session: Session) -> None:
        check_port(MASK_BUNDLE, _FACE, session.inputs[_FACE], _FORM.shape(3))
        check_port(MASK_BUNDLE, _VISIBLE, session.outputs[_VISIBLE], _FORM.shape(1))
        self.session = session
        self._face: Floats = np.empty(_FORM.shape(3), np.float32)

    def __call__(self, pixels: Pixels, landmarks: Floats, crop_of: Matrix, size: int) -> Floats:
        """(size, size) float32 0..1, where the face of the frame `pixels` shows in the crop that `crop_of` cuts."""
        matrix = crop_from_frame(landmarks, FACE_TYPE, _FORM.size, coverage=COVERAGE)
        _FORM.fill(self._face, cut(pixels, matrix, _FORM.size))
        seen = _FORM.mask(self.session.run({_FACE: self._face})[_VISIBLE])
        there = invert(matrix)
        linear = crop_of[:, :2] @ there[:, :2]
        placed = np.column_stack([linear, crop_of[:, :2] @ there[:, 2] + crop_of[:, 2]])
        return np.asarray(cv2.warpAffine(seen, placed, (size, size), flags=cv2.INTER_LINEAR), np.float32)
