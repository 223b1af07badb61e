"""Whether somebody drives, and how strongly the avatar moves: quickly awake, slowly at rest."""

import math

from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles

RISE_S, REST_S = 0.3, 0.7
"""From rest to fully driven, and back."""

GRACE_S = 0.15
"""A driver lost for so short a time (a blink of the tracker) is still there; motion stands still meanwhile."""

LONGEST_STEP_S = 0.25
"""A longer gap between two frames counts as this one: nothing may jump."""

MOST_YAW_DEG, MOST_PITCH_DEG = 55.0, 45.0
"""Beyond, too little of a face is seen to be read, and no picture of it can be drawn from one still."""

SLACK_DEG = 8.0
"""A head that has turned away must come back by so much."""

LEAST_SCORE = 0.7
"""Of the landmark network: below, there is hardly a face."""

SURE, DOUBT, SUDDEN = 16.0, 8.5, 6.0
"""Of the same as log-odds. Filmed and rendered faces have 16 and more, in bad light too; one just covered by a hand
falls to 4 to 8, and what its landmarks say is made up. So: below DOUBT, and SUDDEN less than the person usually has.
"""

USUAL_S = 12.0
"""The time constant of what is usual: somebody hard to see for some seconds on end is readable after all."""


class Presence:
    """The strength of motion, 0..1, from frame to frame."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._away_s = 0.0
        self._level = 0.0

    def leave(self) -> None:
        """Somebody else is there from now on: motion begins at rest."""
        self._level = 0.0

    def __call__(self, readable: bool, now_s: float) -> float:
        """The strength now, smooth in time; `readable` says whether this frame shows what the driver does."""
        step_s = 0.0 if self._last_s is None else min(max(now_s - self._last_s, 0.0), LONGEST_STEP_S)
        first, self._last_s = self._last_s is None, now_s
        if readable:
            self._away_s = 0.0
            # Who is there from the first frame on need not wake up.
            self._level = 1.0 if first else min(1.0, self._level + step_s / RISE_S)
        else:
            self._away_s += step_s
            if self._away_s > GRACE_S:
                self._level = max(0.0, self._level - step_s / REST_S)
        level = self._level
        return level * level * (3.0 - 2.0 * level)


class Sight:
    """Whether faces can be read: seen from not too far to the side, and not covered."""

    def __init__(self) -> None:
        self._usual: float | None = None
        self._last_s = 0.0
        self._readable = False

    def __call__(self, face: Face, now_s: float) -> bool:
        """True for a face that can be read; once it is, it may turn a little further."""
        odds = math.log(max(face.score, 1e-9)) - math.log(max(1.0 - face.score, 1e-9))
        usual = min(odds, SURE) if self._usual is None else self._usual
        doubtful = odds < min(DOUBT, usual - SUDDEN)
        step_s, self._last_s = now_s - self._last_s, now_s
        share = 1.0 - math.exp(-min(max(step_s, 0.0), LONGEST_STEP_S) / USUAL_S)
        self._usual = usual + share * (min(odds, SURE) - usual)
        pitch, yaw, _ = (abs(math.degrees(angle)) for angle in head_angles(face.pose).tolist())
        slack = 0.0 if self._readable else SLACK_DEG
        turned = yaw > MOST_YAW_DEG - slack or pitch > MOST_PITCH_DEG - slack
        self._readable = face.score >= LEAST_SCORE and not doubtful and not turned
        return self._readable
