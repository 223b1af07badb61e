"""What a video's or sound's file is, by its first bytes: asked before FFmpeg is given a file that somebody sent.

FFmpeg also reads playlists and lists of other files, which could name any file of this machine or an address elsewhere.
Nothing but containers that hold their own pictures and sound is let through. The signatures are those of the formats'
specifications (ISO 14496-12, RFC 8794, RIFF, ISO 13818-1, ASF, FLV 10.1, RFC 3533, GIF89a, ID3v2.4, ISO 11172-3).
"""

ENOUGH = 4 + 4 * 192
"""So many bytes of a file tell."""

_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_TS_PACKETS = ((0, 188), (4, 192))


def media_header(start: bytes) -> str | None:
    """The suffix that goes with a file of this beginning, such as `mp4`; None where it is none of those known here."""
    if start[4:8] in _ISO_BOXES:
        return "mp4"
    if start[:4] == b"RIFF":
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(start[8:12])
    for magic, suffix in _MAGICS:
        if start.startswith(magic):
            return suffix
    for first, step in _TS_PACKETS:
        heads = start[first::step][:4]
        if len(heads) == 4 and set(heads) == {0x47}:
            return "ts"
    if len(start) > 2 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0 and start[1] & 0x06:
        return "mp3"
    return None


_MAGICS = (
    (b"\x1a\x45\xdf\xa3", "mkv"),
    (b"\x00\x00\x01\xba", "mpg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv"),
    (b"FLV\x01", "flv"),
    (b"OggS", "ogg"),
    (b"GIF8", "gif"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
)
