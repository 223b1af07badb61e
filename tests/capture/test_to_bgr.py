"""Video whose pixels are not plain SDR in square pixels: high dynamic range, alpha, fields, ratios that change."""

import gc
import logging
from collections.abc import Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms
from written_video import BLUE, GREEN, RED, WHITE, corners, numbered_pictures, quadrants, written

from realtime.capture.recording import Recording
from realtime.frame import Frame, Pixels
from realtime.imaging.sdr import HLG, PQ

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
SDR = [(255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255), (128,) * 3]
BT709_TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
BT709_TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])


def read_all(path: Path) -> list[Frame]:
    source = Recording(path)
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def swatches(nits: float, transfer: int, to: npt.NDArray[np.float64]) -> npt.NDArray[np.uint16]:
    """(64, 256, 3) uint16 RGB: eight colours, coded so that white shines with `nits`."""
    rgb = np.repeat(np.repeat([SDR], 32, axis=1), 64, axis=0) / 255.0
    light = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ to.T
    if transfer == PQ:  # SMPTE ST 2084, equation 5.2
        power = (light * nits / 10000) ** (2610 / 16384)
        coded = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    elif transfer == HLG:  # ITU-R BT.2100, table 5
        display = light * nits / 1000
        luma = np.maximum(display @ [0.2627, 0.6780, 0.0593], 1e-9)[..., None]
        scene = display * luma ** (1 / 1.2 - 1)
        log_part = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        coded = np.where(scene <= 1 / 12, np.sqrt(3 * scene), log_part)
    else:
        coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return (coded.clip(0, 1) * 65535).round().astype(np.uint16)


def filmed(
    path: Path, coded: npt.NDArray[np.uint16], primaries: int, transfer: int, pix_fmt: str, matrix: int, span: int
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = coded.shape[:2]
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.color_primaries, context.color_trc = primaries, transfer
        context.colorspace, context.color_range = matrix, span
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(coded, "rgb48le")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=matrix or None, dst_color_range=span)
            frame.color_primaries, frame.color_trc = primaries, transfer
            frame.colorspace, frame.color_range = matrix, span
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def patches(pixels: Pixels) -> list[list[int]]:
    """The eight colours, RGB."""
    return [
        pixels[24:40, 32 * i + 8 : 32 * i + 24].mean(axis=(0, 1))[::-1].round().astype(int).tolist() for i in range(8)
    ]


@pytest.mark.parametrize(
    ("primaries", "transfer", "pix_fmt", "matrix", "span"),
    [
        (9, PQ, "yuv420p10le", 9, 1),
        (9, PQ, "yuv422p12le", 9, 2),
        (9, PQ, "gbrp10le", 0, 2),
        (2, PQ, "yuv444p10le", 2, 1),
        (9, HLG, "yuv420p10le", 9, 1),
        (9, 14, "yuv420p10le", 9, 1),
        (9, 1, "yuv420p", 9, 1),
        (12, 13, "yuv444p", 1, 1),
        (1, PQ, "yuv444p12le", 1, 1),
    ],
)
def test_wide_colours_become_those_of_sdr(
    tmp_path: Path, primaries: int, transfer: int, pix_fmt: str, matrix: int, span: int
) -> None:
    to = {1: np.eye(3), 12: BT709_TO_P3}.get(primaries, BT709_TO_2020)
    coded = swatches(203, transfer, to)
    path = filmed(tmp_path / "a.mkv", coded, primaries, transfer, pix_fmt, 9 if matrix == 2 else matrix, span)
    frames = read_all(path)
    assert len(frames) == 2
    got = patches(frames[1].pixels)
    wrong = np.abs(np.subtract(got, SDR))
    assert wrong.max() <= 45
    assert wrong.mean() <= 14
    assert min(got[0]) >= 240  # white
    assert np.ptp(got[0]) <= 2
    assert np.ptp(got[7]) <= 2


def test_light_above_white_is_compressed_not_cut(tmp_path: Path) -> None:
    levels = [
        patches(
            read_all(filmed(tmp_path / f"{nits}.mkv", swatches(nits, PQ, BT709_TO_2020), 9, PQ, "gbrp12le", 0, 2))[
                0
            ].pixels
        )[0][1]
        for nits in (100, 203, 400, 1000, 4000)
    ]
    assert levels[:4] == sorted(set(levels[:4]))


def test_the_case_from_the_field() -> None:
    if not CASES.exists():
        pytest.skip("the shared cases are not here")
    picture = read_all(CASES / "hdr_pq.mp4")[10].pixels
    got = [picture[346:354, 168 + 24 * i : 176 + 24 * i].mean(axis=(0, 1))[::-1] for i in range(8)]
    assert np.abs(np.subtract(got, SDR)).mean(axis=1).max() <= 35


@pytest.mark.parametrize(("tag", "warned"), [(b"dvh1", True), (b"hvc1", False)])
def test_dolby_vision_without_a_base_layer_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tag: bytes, warned: bool
) -> None:
    path = written(
        tmp_path / "a.mp4", [quadrants()] * 3, codec="libx265", options={"crf": "4", "x265-params": "log-level=none"}
    )
    data = path.read_bytes()
    path.write_bytes(data.replace(b"hev1", tag).replace(b"hvc1", tag))
    with caplog.at_level(logging.WARNING):
        assert len(read_all(path)) == 3
    assert ["Dolby Vision profile 5" in record.message for record in caplog.records] == [True] * warned


@pytest.mark.parametrize("matrix", [8, 10, 14, 15, 17])
def test_matrices_that_are_not_known_are_played_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, matrix: int
) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        stream.codec_context.colorspace = matrix
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(quadrants(), "bgr24").reformat(format="yuv420p10le")
            frame.colorspace = matrix
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with caplog.at_level(logging.WARNING):
        assert len(read_all(path)) == 2
    assert len(caplog.records) == 1


def see_through(pictures: Sequence[Pixels]) -> list[npt.NDArray[np.uint8]]:
    """RGBA whose left half is transparent."""
    found = [np.dstack([picture[..., ::-1], np.full(picture.shape[:2], 255, np.uint8)]) for picture in pictures]
    for picture in found:
        picture[:, : picture.shape[1] // 2, 3] = 0
    return found


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name"),
    [
        ("png", "rgba", "a.mov"),
        ("qtrle", "argb", "a.mov"),
        ("prores_ks", "yuva444p10le", "a.mov"),
        ("libvpx-vp9", "yuva420p", "a.webm"),
        ("ffv1", "yuva420p", "a.mkv"),
        ("ffv1", "bgra", "a.mkv"),
        ("apng", "rgba", "a.apng"),
    ],
)
def test_transparent_video_is_laid_over_grey(tmp_path: Path, codec: str, pix_fmt: str, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        for picture in see_through([quadrants()] * 3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgba")))
        container.mux(stream.encode())
    source = Recording(path)
    for _ in range(2):
        frames = [source.read() for _ in range(3)]
        assert source.read() is None
        for frame in frames:
            assert frame is not None
            assert np.abs(frame.pixels[8:56, 8:40].astype(int) - 128).max() <= 2
            assert np.abs(frame.pixels[8:24, 56:88].astype(int) - GREEN).max() <= 12
            assert np.abs(frame.pixels[40:56, 56:88].astype(int) - WHITE).max() <= 12
        source.rewind()
    source.close()
    assert source.broken == 0


def test_the_transparent_case_from_the_field() -> None:
    if not CASES.exists():
        pytest.skip("the shared cases are not here")
    for frame in read_all(CASES / "transparent.mov"):
        assert np.abs(frame.pixels[:, :90].astype(int) - 128).max() <= 2


def bars(count: int) -> list[Pixels]:
    """A white bar, 16 wide, that moves by 8 pixels a field: each line of a picture shows its field's moment."""
    found = []
    for i in range(count):
        picture = np.zeros((96, 192, 3), np.uint8)
        for field in (0, 1):
            left = 16 + 8 * (2 * i + field)
            picture[field::2, left : left + 16] = 255
        found.append(picture)
    return found


def combing(pixels: Pixels) -> float:
    """How much lines differ from their neighbours, against the one after them: high where fields stand apart."""
    grey = pixels[..., 1].astype(float)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.ts"])
def test_fields_are_made_one_picture_at_the_same_rate(tmp_path: Path, order: str, name: str) -> None:
    pictures = bars(8) if order == "tff" else [np.roll(p, 1, axis=0) for p in bars(8)]
    path = written(tmp_path / name, pictures, options={"crf": "4", "bf": "0", "x264-params": f"{order}=1"})
    source = Recording(path)
    for _ in range(2):
        frames = []
        while (frame := source.read()) is not None:
            frames.append(frame)
        assert [frame.media_s for frame in frames] == pytest.approx([i / 30 for i in range(8)], abs=2e-3)
        for i, frame in enumerate(frames):
            assert combing(frame.pixels) < combing(pictures[i]) / 4
            middle = np.flatnonzero(frame.pixels[40, :, 1] > 127).mean()
            assert abs(middle - (24 + 16 * i)) <= 8
        source.rewind()
    source.close()


def test_progressive_pictures_are_left_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mkv", numbered_pictures(5), codec="ffv1", pix_fmt="bgr0", options={})
    for got, sent in zip(read_all(path), numbered_pictures(5), strict=True):
        assert np.array_equal(got.pixels, sent)


def test_colour_profiles_of_png_films_are_left_alone(tmp_path: Path) -> None:
    """PyAV 18.1 frees their name twice where a frame's side data is asked for: the process crashed."""
    stored = BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(quadrants()[:, :, ::-1]).save(stored, "PNG", icc_profile=profile)
    with av.open(str(tmp_path / "a.nut"), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb24"
        for number in range(3):
            packet = av.Packet(stored.getvalue())
            packet.stream, packet.pts, packet.time_base = stream, number, Fraction(1, 25)
            container.mux(packet)
    frames = read_all(tmp_path / "a.nut")
    gc.collect()
    assert [corners(frame.pixels) for frame in frames] == [[BLUE, GREEN, RED, WHITE]] * 3


def test_a_pixel_ratio_that_changes_is_followed(tmp_path: Path) -> None:
    # A broadcast that goes from 4:3 to 16:9: the size in pixels stays.
    parts = [
        written(tmp_path / f"{i}.ts", [quadrants(96, 72)] * 10, codec="mpeg2video", options={"b": "4M"}, ratio=ratio)
        for i, ratio in enumerate((Fraction(1), Fraction(4, 3)))
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = read_all(joined)
    assert {frame.size for frame in frames} == {(96, 72)}
    assert corners(frames[0].pixels) == [BLUE, GREEN, RED, WHITE]
    last = frames[-1].pixels
    assert last[:8].max() < 20  # 128x72 stands between bars above and below
    assert last[-8:].max() < 20
    assert corners(last[9:63]) == [BLUE, GREEN, RED, WHITE]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name"),
    [
        ("mjpeg", "yuvj420p", "a.avi"),
        ("mjpeg", "yuvj444p", "a.mov"),
        ("ffv1", "gbrp10le", "a.mkv"),
        ("ffv1", "yuv422p10le", "a.mkv"),
        ("prores_ks", "yuv422p10le", "a.mov"),
        ("libx264rgb", "rgb24", "a.mkv"),
        ("rawvideo", "bgr24", "a.avi"),
        ("rawvideo", "yuyv422", "a.nut"),
    ],
)
@pytest.mark.parametrize("size", [(96, 64), (1280, 720)])
def test_untagged_colours_are_right_whatever_the_format(
    tmp_path: Path, codec: str, pix_fmt: str, name: str, size: tuple[int, int]
) -> None:
    hd = size[0] >= 1280 and codec != "mjpeg" and pix_fmt.startswith("y")
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"q": "2"} if codec == "mjpeg" else {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(quadrants(*size), "bgr24")
            matrix = {"dst_colorspace": "ITU709" if hd else "ITU601"} if pix_fmt.startswith("y") else {}
            frame = frame.reformat(format=pix_fmt, **matrix)
            frame.colorspace = 2
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    got = read_all(path)[0].pixels.astype(int)
    assert np.abs(got - quadrants(*size))[4:-4, 4 : size[0] // 2 - 4][:24].max() <= 6  # blue, then
    assert np.abs(got - quadrants(*size))[-24:-4, 4 : size[0] // 2 - 4].max() <= 6  # red
