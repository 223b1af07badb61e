"""One frame through the engine: what a result says, and what it never does."""

import numpy as np
from fakes import SIZE, FakeClock, FakeFinder, FakeSwapper, a_face, pixels

from realtime.config import Settings
from realtime.families.face_swap.effect import FaceSwap
from realtime.frame import Frame
from realtime.pipeline.engine import Engine
from realtime.tracking.face import Face


def engine_with(faces: list[Face], settings: Settings | None = None) -> Engine:
    chosen = settings or Settings(color_transfer="none")
    return Engine(FakeFinder(lambda _: faces), FaceSwap(FakeSwapper()), lambda: chosen, FakeClock())


def frame() -> Frame:
    return Frame(pixels(17), 3, 0)


def test_a_face_is_replaced_and_the_rest_is_the_frames_to_the_bit() -> None:
    source = frame()
    result = engine_with([a_face()])(source)
    assert result.error is None
    assert result.faces == 1
    assert result.pixels is not None
    assert (result.pixels[60, 80] == 200).all()
    assert (result.pixels[:20] == 17).all()
    assert (source.pixels == 17).all()
    assert {"capture", "detect", "align", "swap", "blend", "networks"} <= set(result.frame.spans)


def test_several_faces_are_all_replaced() -> None:
    result = engine_with([a_face((40, 60), 40), a_face((120, 60), 40)])(frame())
    assert result.pixels is not None
    assert (result.pixels[60, 40] == 200).all()
    assert (result.pixels[60, 120] == 200).all()
    assert result.faces == 2


def test_no_face_in_the_picture_and_a_covered_one_are_a_miss_and_no_error() -> None:
    class Blind(FakeSwapper):
        def __call__(self, crop, face, *rest):  # type: ignore[no-untyped-def]
            good = super().__call__(crop, face)
            good.mask[...] = 0
            return good

    beside = [a_face(centre) for centre in ((-200, 60), (80, 400), (SIZE[0] + 60, 60))]
    engines = [engine_with(faces) for faces in ([], *([face] for face in beside))]
    for engine in (*engines, Engine(FakeFinder(), FaceSwap(Blind()), Settings, FakeClock())):
        result = engine(frame())
        assert result.pixels is None
        assert result.error is None


def test_a_face_half_out_of_the_picture_is_replaced_as_far_as_it_is_seen() -> None:
    result = engine_with([a_face((4, 60))])(frame())
    assert result.pixels is not None
    assert (result.pixels[60, 2] > 150).all()


def test_mirror_flips_the_finished_picture() -> None:
    plain = engine_with([a_face((50, 60), 40)])(frame()).pixels
    flipped = engine_with([a_face((50, 60), 40)], Settings(color_transfer="none", mirror=True))(frame()).pixels
    assert plain is not None
    assert flipped is not None
    assert np.array_equal(flipped, plain[:, ::-1])
    assert flipped.flags.c_contiguous


def test_an_identity_is_changed_and_the_old_one_closed() -> None:
    first, second = FakeSwapper(200, "One"), FakeSwapper(90, "Two")
    engine = Engine(FakeFinder(), FaceSwap(first), lambda: Settings(color_transfer="none"), FakeClock())
    before = engine(frame())
    assert (before.title, before.may_hide_badge) == ("One", False)
    engine.switch(FaceSwap(second), may_hide_badge=True)
    result = engine(frame())
    assert (result.title, result.may_hide_badge) == ("Two", True)
    assert result.pixels is not None
    assert (result.pixels[60, 80] == 90).all()
    assert first.closed == 1
    engine.close()
    engine.close()
    assert second.closed >= 1
