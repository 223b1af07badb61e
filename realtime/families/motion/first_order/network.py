"""The three networks of First Order Motion: an avatar's still picture, moved as a driver moves.

A bundle holds three networks, so that what depends on the avatar alone is done once. `source.onnx` encodes the
avatar's picture and finds its key points, `keypoints.onnx` finds a driving picture's, and `frame.onnx` draws
the avatar with its key points elsewhere. All take and give pictures as (1, 3, S, S) float32, in the colour
order and range of the card. A network without Jacobians at its key points lacks those ports in all three.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from realtime.errors import ModelError
from realtime.families.motion.first_order.keypoints import KeyPoints
from realtime.frame import Floats, Pixels
from realtime.inference.image_format import CropFormat, check_port
from realtime.inference.session import Array, Session, opening_networks
from realtime.models.bundle import Bundle
from realtime.models.card import ModelCard

SOURCE_FILE, KEYPOINTS_FILE, FRAME_FILE = "source.onnx", "keypoints.onnx", "frame.onnx"
SOURCE, DRIVING, PREDICTION = "source", "driving", "prediction"
KEYPOINTS, JACOBIANS = "keypoints", "jacobians"
OF_THE_AVATAR = {
    "features": "features",
    "source_small": "source_small",
    KEYPOINTS: "source_keypoints",
    JACOBIANS: "source_jacobians",
}
"""What `source.onnx` gives -> what `frame.onnx` calls it. The small picture may be lacking, and Jacobians."""
DRIVING_KEYPOINTS, DRIVING_JACOBIANS = "driving_keypoints", "driving_jacobians"
_OPTIONAL = frozenset({"source_small", JACOBIANS})


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSource:
    """An avatar, encoded once: what `FirstOrderNetwork.draw` needs of it, and its own key points.

    `feed`: by the names of the drawing network's inputs. Good for the network that made it only.
    """

    feed: Mapping[str, Array]
    keypoints: KeyPoints


class FirstOrderNetwork:
    """One motion model, loaded and warm. Owns its three sessions and closes them. One thread at a time.

    `size`: the side in pixels of all its pictures. `points`: how many key points it has. `jacobians`: False
    where it knows only where they are; then `keypoints` gives identities for them and `draw` ignores them.
    """

    def __init__(self, sessions: Sequence[Session], card: ModelCard) -> None:
        """`sessions`: those of `source.onnx`, `keypoints.onnx` and `frame.onnx`."""
        self.sessions = sessions
        self._source, self._detector, self._frame = sessions
        size = card.input.size
        assert size is not None  # a motion card has it
        self._form = CropFormat(size, card.input.layout, card.input.colour, card.input.range)
        self.size = size
        self.points, self.jacobians = _check(card, self._form, self._source, self._detector, self._frame)
        self._name = card.name
        self._picture: Floats = np.empty(self._form.shape(3), np.float32)
        self._prove()

    def encode(self, picture: Pixels) -> EncodedSource:
        """The avatar of a (S, S, 3) uint8 BGR picture, to be made once and drawn often. Raises ModelError."""
        self._form.fill(self._picture, picture)
        given = self._source.run({SOURCE: self._picture})
        # Copies: a runtime may write its next answer where it wrote this one.
        feed = {theirs: np.array(given[ours]) for ours, theirs in OF_THE_AVATAR.items() if ours in given}
        return EncodedSource(feed, self._keypoints(given))

    def keypoints(self, driving: Pixels) -> KeyPoints:
        """The key points of a driving picture, (S, S, 3) uint8 BGR. Raises ModelError."""
        self._form.fill(self._picture, driving)
        return self._keypoints(self._detector.run({DRIVING: self._picture}))

    def draw(self, avatar: EncodedSource, moved: KeyPoints) -> Pixels:
        """The avatar with its key points at `moved`, a new (S, S, 3) uint8 BGR picture.

        `moved` is what `RelativeMotion` gives, or the driver's own key points. Raises ModelError for key points
        that are not finite or of another number, and for a picture that is none.
        """
        for part in (moved.value, moved.jacobian) if self.jacobians else (moved.value,):
            if not np.isfinite(part).all():
                raise ModelError(f"model {self._name}: the key points to draw are not finite: take another picture")
        feed = {**avatar.feed, DRIVING_KEYPOINTS: _batch(moved.value)}
        if self.jacobians:
            feed[DRIVING_JACOBIANS] = _batch(moved.jacobian)
        return self._form.pixels(self._frame.run(feed)[PREDICTION])

    def close(self) -> None:
        """Close the networks. May be called twice."""
        for session in self.sessions:
            session.close()

    def _keypoints(self, given: Mapping[str, Array]) -> KeyPoints:
        value = np.asarray(given[KEYPOINTS], np.float32)
        if self.jacobians:
            jacobian = np.asarray(given[JACOBIANS], np.float32)
        else:
            jacobian = np.broadcast_to(np.eye(2, dtype=np.float32), (1, self.points, 2, 2))
        if value.shape != (1, self.points, 2) or jacobian.shape != (1, self.points, 2, 2):
            raise ModelError(
                f"model {self._name} gave key points {value.shape} and {jacobian.shape} "
                f"for {self.points}: export it again"
            )
        return KeyPoints(value[0].copy(), jacobian[0].copy())

    def _prove(self) -> None:
        """One pass through all three: what they declare is one thing, what they give is another.

        A plain grey picture has no key points worth the name, so numbers are not looked at. Raises ModelError.
        """
        avatar = self.encode(np.full((self.size, self.size, 3), 128, np.uint8))
        feed = {**avatar.feed, DRIVING_KEYPOINTS: _batch(avatar.keypoints.value)}
        if self.jacobians:
            feed[DRIVING_JACOBIANS] = np.broadcast_to(np.eye(2, dtype=np.float32), (1, self.points, 2, 2)).copy()
        drawn = self._frame.run(feed)[PREDICTION]
        if drawn.shape != self._form.shape(3):
            raise ModelError(
                f"model {self._name}: {FRAME_FILE} drew {drawn.shape}, its card promises {self._form.shape(3)}: "
                "export it again"
            )


def open_first_order(bundle: Bundle, **options: Any) -> FirstOrderNetwork:
    """The networks of a First Order Motion bundle, checked against each other and the card, and warm.

    `options` as of `opening_networks`. Raises ModelError for networks that are lacking or do not fit together; nothing
    is open then.
    """
    with opening_networks(**options) as open_network:
        files = (SOURCE_FILE, KEYPOINTS_FILE, FRAME_FILE)
        return FirstOrderNetwork([open_network(bundle.path(file)) for file in files], bundle.card)


def _check(card: ModelCard, form: CropFormat, source: Session, detector: Session, frame: Session) -> tuple[int, bool]:
    """(number of key points, whether there are Jacobians). Raises ModelError unless the three fit together."""
    jacobians = JACOBIANS in source.outputs
    avatars = [name for name in OF_THE_AVATAR if name in source.outputs or name not in _OPTIONAL]
    found = [KEYPOINTS, *([JACOBIANS] if jacobians else [])]
    draws = [*(OF_THE_AVATAR[name] for name in avatars), DRIVING_KEYPOINTS, *([DRIVING_JACOBIANS] * jacobians)]
    for file, session, takes, gives in (
        (SOURCE_FILE, source, [SOURCE], avatars),
        (KEYPOINTS_FILE, detector, [DRIVING], found),
        (FRAME_FILE, frame, draws, [PREDICTION]),
    ):
        _has(card, file, "takes", session.inputs, takes)
        _has(card, file, "gives", session.outputs, gives)
    points = source.outputs[KEYPOINTS].shape[1:2]
    if not points or points[0] is None:
        raise ModelError(f"model {card.name}: {SOURCE_FILE} does not say how many key points it has: export it again")
    count = points[0]
    picture = form.shape(3)
    for ports, shapes in (
        (source.inputs, {SOURCE: picture}),
        (source.outputs, {KEYPOINTS: (1, count, 2), JACOBIANS: (1, count, 2, 2)}),
        (detector.inputs, {DRIVING: picture}),
        (detector.outputs, {KEYPOINTS: (1, count, 2), JACOBIANS: (1, count, 2, 2)}),
        (frame.inputs, {f"{whose}_{KEYPOINTS}": (1, count, 2) for whose in (SOURCE, DRIVING)}),
        (frame.inputs, {f"{whose}_{JACOBIANS}": (1, count, 2, 2) for whose in (SOURCE, DRIVING)}),
        (frame.outputs, {PREDICTION: picture}),
    ):
        for name, shape in shapes.items():
            if name in ports:
                check_port(card.name, name, ports[name], shape)
    for ours in avatars:
        gives_port, takes_port = source.outputs[ours], frame.inputs[OF_THE_AVATAR[ours]]
        if None not in gives_port.shape:
            check_port(card.name, OF_THE_AVATAR[ours], takes_port, tuple(s or 0 for s in gives_port.shape))
    return count, jacobians


def _has(card: ModelCard, file: str, does: str, ports: Mapping[str, object], wanted: list[str]) -> None:
    if set(ports) != set(wanted):
        raise ModelError(
            f"model {card.name}: {file} {does} {', '.join(sorted(ports)) or 'nothing'}; "
            f"wanted is {', '.join(sorted(wanted))}: export it again"
        )


def _batch(values: Floats) -> Floats:
    return np.ascontiguousarray(values, np.float32)[None]
