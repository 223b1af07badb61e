"""What may be given to FFmpeg: containers, and no list that names other files."""

from realtime.models.library import built_in_folder
from realtime.web.media_header import ENOUGH, media_header


def test_containers_are_known_by_what_they_are_not_by_their_names() -> None:
    clip = built_in_folder() / "clips" / "driving.mp4"
    with clip.open("rb") as opened:
        assert media_header(opened.read(ENOUGH)) == "mp4"
    packets = b"".join(b"\x47" + bytes(187) for _ in range(5))
    known = {
        b"\x1a\x45\xdf\xa3\x01": "mkv", b"RIFF\0\0\0\0AVI LIST": "avi", b"RIFF\0\0\0\0WAVEfmt": "wav", b"OggS": "ogg",
        b"GIF89a": "gif", b"FLV\x01": "flv", b"ID3\x04": "mp3", b"\xff\xfb\x90\x00": "mp3", packets: "ts",
        b"\x00\x00\x01\xba\x44": "mpg", b"fLaC\0": "flac",
    }  # fmt: skip
    assert {start: media_header(start) for start in known} == known
    for other in (
        b"",
        b"#EXTM3U",
        b"<MPD>",
        b"v=0\r\no=-",
        b"ffconcat",
        b"RIFF",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG",
        b"%PDF",
    ):
        assert media_header(other + b"\n" * 100) is None, other
