"""Hostile and damaged pictures, films, sounds, zips of bundles, safetensors, arrays and settings."""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from bundles import a_bundle
from hostile_torch import Case, damaged, zipped
from PIL import Image
from written_video import written

FILMS = {
    "mp4": "libx264", "mkv": "libx264", "ts": "libx264", "avi": "mpeg4", "mov": "mjpeg", "webm": "libvpx",
    "flv": "flv1", "wmv": "wmv2",
}  # fmt: skip
SOUNDS = {"wav": "pcm_s16le", "mp3": "mp3", "ogg": "libvorbis", "flac": "flac", "m4a": "aac"}
PICTURES = ("png", "jpg", "webp", "gif", "bmp", "tiff", "avif", "ppm")
WORST = (b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"\0\0\xff\xff", b"\x80\0\0\0")


def absurd(good: bytes, count: int, seed: int, reach: int = 400) -> Iterator[Case]:
    """Sizes, counts and kinds in the first part that nothing has, pieces twice, moved or gone."""
    chance = random.Random(seed)
    for number in range(count):
        bad = bytearray(good)
        for _ in range(1 + number % 3):
            at = chance.randrange(4, min(reach, len(bad) - 8))
            length = chance.randrange(1, 200)
            match chance.randrange(8):
                case 0:
                    bad[at:at] = bad[at : at + length]
                case 1:
                    del bad[at : at + length]
                case 2:
                    bad[at : at + length] = bytes(length)
                case _:
                    bad[at : at + 4] = chance.choice(WORST)
        yield f"absurd {number}", bytes(bad), "any"


def pictures() -> dict[str, bytes]:
    """A small honest picture of each kind."""
    noise = np.random.default_rng(1).integers(0, 255, (48, 56, 3), np.uint8)
    found = {}
    for kind in PICTURES:
        stream = io.BytesIO()
        Image.fromarray(noise).save(stream, "JPEG" if kind == "jpg" else kind.upper())
        found[kind] = stream.getvalue()
    return found | {"heic": found["avif"].replace(b"avif", b"heic")}


def _png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    packed = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts)
    return b"\x89PNG\r\n\x1a\n" + packed


def picture_bombs(good: dict[str, bytes]) -> Iterator[tuple[str, str, bytes]]:
    """Kind, title and content of small files that claim, or unpack to, more than there is."""
    zeros = zlib.compress(bytes(30_000_000), 9)
    for side in (20_000, 65_500, 2**31 - 1):
        yield "png", f"{side} pixels wide and high", _png(side, side, (b"IDAT", zeros))
    yield "png", "as wide as can be", _png(2**31 - 1, 1, (b"IDAT", zeros))
    yield "png", "no pixels", _png(0, 0, (b"IDAT", zeros))
    yield "png", "a text of 30 MB", _png(8, 8, (b"zTXt", b"a\0\0" + zeros), (b"IDAT", zlib.compress(bytes(200))))
    yield "png", "a colour profile of 30 MB", _png(8, 8, (b"iCCP", b"a\0\0" + zeros), (b"IDAT", zeros))
    animated = (b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield "png", "two milliard pictures", _png(8, 8, animated, (b"IDAT", zlib.compress(bytes(200))))
    gif, at = good["gif"], good["gif"].index(b",")
    wide = gif[:6] + b"\xff\xff\xff\xff" + gif[10:]
    yield "gif", "a screen of 65535", wide
    yield "gif", "a picture of 65535", wide[:at] + b",\0\0\0\0\xff\xff\xff\xff" + wide[at + 9 :]
    yield "gif", "20,000 pictures", gif[:-1] + gif[at:-1] * 200 + b";"
    for frame in (b"\xff\xc0", b"\xff\xc2"):
        start = good["jpg"].find(b"\xff\xc0")
        yield (
            "jpg",
            f"65,500 pixels {frame.hex()}",
            good["jpg"][:start]
            + frame
            + good["jpg"][start + 2 :][:3]
            + (b"\xff\xdc\xff\xdc" + good["jpg"][start + 9 :]),
        )
    scan = good["jpg"].find(b"\xff\xda")
    yield "jpg", "2,000 scans", good["jpg"][:scan] + good["jpg"][scan:-2] * 2000
    yield "bmp", "2^31 pixels", good["bmp"][:18] + struct.pack("<ii", 2**31 - 1, -(2**31)) + good["bmp"][26:]
    yield "bmp", "40,000 pixels", good["bmp"][:18] + struct.pack("<ii", 40_000, 40_000) + good["bmp"][26:]
    yield "ppm", "10^9 pixels", b"P6\n1000000000 1000000000\n255\n" + bytes(99)
    yield "ppm", "a number without an end", b"P6\n" + b"9" * 50_000
    ispe = good["avif"].index(b"ispe") + 8
    for kind in ("avif", "heic"):
        yield kind, "65,535 pixels", good[kind][:ispe] + struct.pack(">II", 65_535, 65_535) + good[kind][ispe + 8 :]


def films(folder: Path) -> dict[str, bytes]:
    """A short film with sound of each kind, and a sound of each kind. A kind that FFmpeg cannot write is left out."""
    found, shots = {}, list(np.random.default_rng(2).integers(0, 255, (8, 48, 64, 3), np.uint8))
    for kind, codec in FILMS.items():
        form = {"mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        try:
            made = written(folder / f"good.{kind}", shots, codec=codec, pix_fmt=form, rate=25, options={"threads": "1"})
        except (av.error.FFmpegError, ValueError):
            continue
        found[kind] = made.read_bytes()
    wave = (np.sin(np.arange(9600) / 9) * 9000).astype(np.int16)[None]
    for kind, codec in SOUNDS.items():
        try:
            with av.open(str(folder / f"good.{kind}"), "w") as container:
                stream = container.add_stream(codec, rate=48_000, layout="mono")
                frame = av.AudioFrame.from_ndarray(wave, "s16", "mono")
                frame.rate = 48_000
                container.mux([*stream.encode(frame), *stream.encode(None)])
        except (av.error.FFmpegError, ValueError):
            continue
        found[kind] = (folder / f"good.{kind}").read_bytes()
    return found


def lists(folder: str) -> Iterator[tuple[str, str, bytes]]:
    """Files that name other files or addresses: playlists, manifests, titles."""
    at = "http://127.0.0.1:9/x.ts"
    yield (
        "m3u8",
        "a playlist",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{at}\n#EXTINF:9,\nfile:///etc/passwd\n".encode(),
    )
    yield "mp4", "a playlist by another name", b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n#EXTINF:9,\nconcat:a|b\n"
    yield "ffconcat", "a list to join", f"ffconcat version 1.0\nfile '{folder}/canary'\nfile '{at}'\n".encode()
    yield "sdp", "a session", b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
    yield "mpd", "a manifest", f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{at}</BaseURL></MPD>'.encode()
    yield "svg", "a drawing", f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{at}"/></svg>'.encode()
    yield (
        "png",
        "a drawing by another name",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>',
    )
    yield (
        "jpg",
        "a script for ImageMagick",
        b"push graphic-context\nfill 'url(https://127.0.0.1:9/\"|touch canary\")'\n",
    )


def bundle_zips(folder: Path) -> Iterator[Case]:
    """What is sent to the page as a bundle's .zip."""
    made = a_bundle(folder / "zipped")
    good = {path.name: path.read_bytes() for path in sorted(made.iterdir())}
    whole = zipped(good)
    yield "good", whole, "read"
    for title, more in {
        "out of its folder": {"../canary": b"x"},
        "by its full path": {"/tmp/canary": b"x"},
        "a drive": {"C:\\canary": b"x"},
        "a name with an escape": {"\x1b[2J": b"x"},
        "two folders": {"a/model.toml": b"", "b/model.toml": b""},
        "a hundred files": {f"{n}.onnx": b"" for n in range(100)},
        "60,000 files": {f"{n}": b"" for n in range(60_000)},
        "a long name": {"n" * 60_000: b"x"},
    }.items():
        yield title, zipped({**good, **more}), "refused"
    for packing in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield f"40 MB of nothing by {packing}", zipped({**good, "swap.onnx": bytes(40_000_000)}, packing), "refused"
    for title, flags, kind in (("a link", 0, 0o120777), ("a device", 0, 0o060644), ("a password", 1, 0o100644)):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, raw in good.items():
                entry = zipfile.ZipInfo(name)
                entry.external_attr = kind << 16
                archive.writestr(entry, raw)
                entry.flag_bits |= flags
        yield title, stream.getvalue(), "any" if "device" in title else "refused"
    start, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    directory = whole[start:end]
    for title, entries, size, at in (
        ("entries a thousand times", directory * 1000, None, start),
        ("a directory of 20 MB", directory * (20_000_000 // len(directory)), None, start),
        ("a directory of 4 GiB", directory, 0xFFFFFFFE, start),
        ("a directory that is not there", directory, None, 0x7FFFFFFF),
        ("a directory in its first file", directory, None, 4),
    ):
        tail = struct.pack("<II", len(entries) if size is None else size, at)
        yield title, whole[:start] + entries + whole[end : end + 12] + tail + whole[end + 20 :], "refused"
    overlapping = bytearray(whole)
    second = whole.index(b"PK\x01\x02", start + 4)
    overlapping[second + 42 : second + 46] = bytes(4)  # the second entry's content is the first's
    yield "entries that overlap", bytes(overlapping), "refused"
    yield "something before it", b"MZ" * 500 + whole, "any"
    yield "a second end", whole + whole[end:], "any"
    yield from damaged(whole, 60, 31)
    yield from absurd(whole[start:] + whole, 20, 32)


def safetensors() -> Iterator[Case]:
    """Headers that lie; the numbers behind them are few."""

    def file(header: object, numbers: bytes = bytes(64), length: int | None = None) -> bytes:
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        return (len(raw) if length is None else length).to_bytes(8, "little") + raw + numbers

    def one(**more: object) -> dict[str, object]:
        return {"output_block.1.weight": {"dtype": "F32", "shape": [2, 8], "data_offsets": [0, 64], **more}}

    yield "one tensor", file(one()), "refused"
    for title, more in {
        "a far end": {"data_offsets": [0, 1 << 60]},
        "a negative start": {"data_offsets": [-64, 0]},
        "turned ends": {"data_offsets": [64, 0]},
        "three ends": {"data_offsets": [0, 64, 0]},
        "ends of text": {"data_offsets": ["0", "64"]},
        "broken ends": {"data_offsets": [0.5, 64.5]},
        "a shape of an exabyte": {"shape": [1 << 30, 1 << 30]},
        "a shape past counting": {"shape": [1 << 62, 1 << 62]},
        "a negative shape": {"shape": [-2, -8]},
        "a shape of text": {"shape": "28"},
        "a shape without an end": {"shape": [1] * 100_000},
        "an unknown kind": {"dtype": "F8_E4M3"},
        "a kind that is a list": {"dtype": []},
        "no kind": {"dtype": None},
    }.items():
        yield title, file(one(**more)), "refused"
    for title, raw in {
        "no object": b"[]", "a number": b"{1}", "brackets": b"{" + b"[" * 60_000, "no text": b'{"\xff": 1}',
        "an entry that is text": b'{"a": "b"}', "a number of 5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
        "not a number": b'{"a": NaN}',
    }.items():  # fmt: skip
        yield title, file(raw), "refused"
    yield "a header of an exabyte", file(one(), length=1 << 60), "refused"
    yield "a header longer than the file", file(one(), length=4000), "refused"
    many = {f"a.{n}": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]} for n in range(20_000)}
    yield "20,000 on the same numbers", file(many), "refused"
    good = file(one())
    yield from damaged(good, 12, 41)
    yield from absurd(good, 12, 42, 60)


def arrays(good: bytes) -> Iterator[Case]:
    """The mesh of a motion bundle, damaged or of another kind."""
    stream = io.BytesIO()
    np.savez(stream, canonical=np.array([{"a": 1}], object))
    yield "objects", stream.getvalue(), "refused"
    stream = io.BytesIO()
    names = ("canonical", "basis", "weights", "triangles")
    np.savez(stream, **dict.fromkeys(names, np.full((478, 3), "x")))
    yield "texts", stream.getvalue(), "refused"
    head = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }".ljust(
        118
    )
    yield "an array of 8 TiB", zipped({f"{name}.npy": head for name in names}), "refused"
    yield "a program for a header", zipped({"canonical.npy": head.replace(b"'<f8'", b"exit()")}), "refused"
    yield "a bomb", zipped({"canonical.npy": bytes(50_000_000)}, zipfile.ZIP_DEFLATED), "refused"
    yield "no archive", good[100:], "refused"
    yield from damaged(good, 16, 51)
    yield from absurd(good, 16, 52)


def settings() -> Iterator[tuple[str, str, bytes]]:
    """Presets and configuration files: kind, title, content."""
    for title, raw in {
        "brackets": b"[" * 60_000, "nothing": b"", "no text": bytes(range(256)), "a list": b"[]",
        "a number": b'{"presets": 1}', "a preset of text": b'{"presets": {"a": "b"}}',
        "digits": b'{"presets": {"a": {"opacity": ' + b"9" * 5000 + b"}}}", "large": b" " * 300_000,
        "not a number": b'{"presets": {"a": {"opacity": NaN, "strength": Infinity}}}',
        "of the wrong kinds": json.dumps({"presets": {"a": {"model": [1], "mirror": "x", "background": 5}}}).encode(),
        "that clears the screen": b'{"presets": {"\\u001b[2J": {"model": "\\u001b[2J"}}}',
        "lone surrogates": b'{"presets": {"a": {"model": "\\ud800"}}}',
    }.items():  # fmt: skip
        yield "json", title, raw
    for title, raw in {
        "brackets": b"a = " + b"[" * 60_000, "dots": b"a" + b".a" * 5000 + b" = 1", "digits": b"fps = " + b"9" * 5000,
        "no text": bytes(range(256)), "unknown": b"wings = 2", "not a number": b"opacity = nan", "far": b"fps = 1e999",
        "that clears the screen": b'"\\u001b[2J" = 1', "wrong kinds": b"model = 5\noutput = {}\nsize = [1]",
        "a size of nothing": b'size = "0x0"', "a wide size": b'size = "999999999x999999999"',
    }.items():  # fmt: skip
        yield "toml", title, raw
    good = b'model = "ada"\nsize = "640x360"\nopacity = 1.0\noutput = ["null"]\n'
    for kind, whole in (("toml", good), ("json", b'{"schema": 1, "presets": {"a": {"model": "ada", "opacity": 1.0}}}')):
        yield from ((kind, title, content) for title, content, _ in damaged(whole, 16, 61))
