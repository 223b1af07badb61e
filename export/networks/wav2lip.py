"""Wav2Lip: a face and 200 ms of sound -> the face with the lips that say it.

The face goes down to one 512-number code level by level, the sound to another, and the picture is built from
the sound's code upwards with the face's level put beside it at each step. The avatar's frames are known
beforehand, so `encode_face` can be done once for each; then only `encode_sound` and `decode` are live.

The shape is read from a checkpoint: 96 px has a 3x3 bottom and five halvings. Descendants for larger squares
that keep the layout (one level more, a 4x4 bottom: 256 px) load too.

Pictures are BGR 0..1. Source: Prajwal, Mukhopadhyay, Namboodiri, Jawahar, "A Lip Sync Expert Is All You Need
for Speech to Lip Generation In the Wild", ACM Multimedia 2020.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from realtime.errors import ModelError

MEL_SHAPE = (1, 80, 16)
"""Channels, mel bands and frames of one window of sound."""

_SOUND = (
    (32, 3, (1, 1), 1, 2),
    (64, 3, (3, 1), 1, 2),
    (128, 3, (3, 3), 1, 2),
    (256, 3, (3, 2), 1, 1),
    (512, 3, (1, 1), 0, 0),
    (512, 1, (1, 1), 0, 0),
)
"""Of each step of the sound's encoder: channels, kernel, stride, padding, residual blocks after it."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a ladder: its channels, and how many residual blocks follow its first one."""

    width: int
    residuals: int


@dataclass(frozen=True, slots=True)
class LipShape:
    """The picture's ladder.

    `face`: the levels on the way down, full size first, each next one half of it, without the code. `bottom`:
    the side in pixels of the last of them. `picture`: the levels on the way up, the bottom first. `code`: the
    width of the code. `head`: the channels before the last 1x1 convolution.
    """

    face: tuple[Level, ...]
    picture: tuple[Level, ...]
    bottom: int = 3
    code: int = 512
    head: int = 32

    @property
    def size(self) -> int:
        """The picture's side in pixels."""
        return self.bottom << (len(self.face) - 1)


WAV2LIP_96 = LipShape(
    face=(Level(16, 0), Level(32, 2), Level(64, 3), Level(128, 2), Level(256, 2), Level(512, 1)),
    picture=(Level(512, 1), Level(512, 2), Level(384, 2), Level(256, 2), Level(128, 2), Level(64, 2)),
)
"""The published model (wav2lip.pth and wav2lip_gan.pth have the same)."""


class ConvNorm(nn.Module):
    """Convolution, batch norm, plus the input where `residual`, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int = 3,
        stride: int | tuple[int, int] = 1,
        padding: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__()
        convolution = nn.Conv2d(inputs, outputs, side, stride, padding)
        self.conv_block = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv_block(x)
        return F.relu(out + x if self.residual else out)


class Enlarge(nn.Module):
    """Transposed convolution, batch norm, ReLU: one pixel becomes `side` x `side`, or every side doubles."""

    def __init__(self, inputs: int, outputs: int, side: int, doubles: bool) -> None:
        super().__init__()
        more = {"stride": 2, "padding": 1, "output_padding": 1} if doubles else {}
        self.conv_block = nn.Sequential(nn.ConvTranspose2d(inputs, outputs, side, **more), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv_block(x))


class Wav2Lip(nn.Module):
    """(mel (N, 1, 80, 16), faces (N, 6, S, S)) -> (N, 3, S, S) BGR 0..1.

    The six channels: the face with its lower half black, then the face as it is. Attribute names are
    upstream's, because they are the key names of its checkpoints.
    """

    def __init__(self, shape: LipShape = WAV2LIP_96) -> None:
        super().__init__()
        self.shape = shape
        self.face_encoder_blocks = _face_encoder(shape)
        self.audio_encoder = _sound_encoder()
        self.face_decoder_blocks = _face_decoder(shape)
        last = shape.picture[-1].width + shape.face[0].width
        self.output_block = nn.Sequential(ConvNorm(last, shape.head), nn.Conv2d(shape.head, 3, 1), nn.Sigmoid())

    def encode_face(self, faces: Tensor) -> list[Tensor]:
        """The face on every level, full size first, its code (N, 512, 1, 1) last."""
        levels: list[Tensor] = []
        for block in self.face_encoder_blocks:
            levels.append(block(levels[-1] if levels else faces))
        return levels

    def encode_sound(self, mel: Tensor) -> Tensor:
        """The sound's code, (N, 512, 1, 1)."""
        return self.audio_encoder(mel)

    def decode(self, code: Tensor, levels: list[Tensor]) -> Tensor:
        """The picture that a sound's code and a face's levels make."""
        out = code
        for block, beside in zip(self.face_decoder_blocks, reversed(levels), strict=True):
            out = torch.cat([block(out), beside], 1)
        return self.output_block(out)

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        return self.decode(self.encode_sound(mel), self.encode_face(faces))


def shape_of(shapes: Mapping[str, tuple[int, ...]]) -> LipShape:
    """The ladder that a state dict's shapes tell of.

    Only a guess to compare the whole checkpoint with: whoever loads it checks every name and shape. Raises
    ModelError where the names are not those of the family.
    """
    try:
        face = _levels(shapes, "face_encoder_blocks", outputs_at=0)
        picture = _levels(shapes, "face_decoder_blocks", outputs_at=1)
        bottom = shapes[f"face_encoder_blocks.{len(face) - 1}.0.conv_block.0.weight"][2]
        head = shapes["output_block.1.weight"][1]
    except KeyError as error:
        raise ModelError(f"it has no weight {error.args[0]}, which every Wav2Lip model has") from error
    except IndexError as error:
        raise ModelError("its weights have not the number of dimensions of a Wav2Lip model's") from error
    sizes = [head, *(level.width for level in face + picture)]
    if not all(1 <= size <= 4096 for size in sizes) or any(level.residuals > 16 for level in face + picture):
        raise ModelError("it has sizes that no Wav2Lip model has")
    if len(face) != len(picture) or len(face) not in range(3, 12) or bottom not in range(2, 9):
        raise ModelError(
            f"it has {len(face)} levels down, {len(picture)} up and a bottom of {bottom} px: that is no Wav2Lip model "
            "of any size"
        )
    return LipShape(face[:-1], picture[1:], bottom=bottom, code=face[-1].width, head=head)


def _levels(shapes: Mapping[str, tuple[int, ...]], name: str, outputs_at: int) -> tuple[Level, ...]:
    """The levels of one ladder. The first of the way up is a convolution, the others are transposed ones."""
    found: list[Level] = []
    while len(found) < 16 and f"{name}.{len(found)}.0.conv_block.0.weight" in shapes:
        start = f"{name}.{len(found)}."
        blocks = 1
        while f"{start}{blocks}.conv_block.0.weight" in shapes:
            blocks += 1
        found.append(Level(shapes[f"{start}0.conv_block.0.weight"][outputs_at if found else 0], blocks - 1))
    if not found:
        raise KeyError(f"{name}.0.0.conv_block.0.weight")
    return tuple(found)


def _residuals(level: Level) -> list[ConvNorm]:
    return [ConvNorm(level.width, level.width, residual=True) for _ in range(level.residuals)]


def _face_encoder(shape: LipShape) -> nn.ModuleList:
    full = shape.face[0]
    blocks = [nn.Sequential(ConvNorm(6, full.width, side=7, padding=3), *_residuals(full))]
    above = full.width
    for level in shape.face[1:]:
        blocks.append(nn.Sequential(ConvNorm(above, level.width, stride=2), *_residuals(level)))
        above = level.width
    squeeze = ConvNorm(above, shape.code, side=shape.bottom, padding=0)
    blocks.append(nn.Sequential(squeeze, ConvNorm(shape.code, shape.code, side=1, padding=0)))
    return nn.ModuleList(blocks)


def _sound_encoder() -> nn.Sequential:
    blocks: list[ConvNorm] = []
    above = MEL_SHAPE[0]
    for width, side, stride, padding, residuals in _SOUND:
        blocks += [ConvNorm(above, width, side, stride, padding), *_residuals(Level(width, residuals))]
        above = width
    return nn.Sequential(*blocks)


def _face_decoder(shape: LipShape) -> nn.ModuleList:
    blocks = [nn.Sequential(ConvNorm(_SOUND[-1][0], shape.code, side=1, padding=0))]
    inputs = 2 * shape.code
    beside = [level.width for level in reversed(shape.face)]
    for number, level in enumerate(shape.picture):
        first = Enlarge(inputs, level.width, shape.bottom if number == 0 else 3, doubles=number > 0)
        blocks.append(nn.Sequential(first, *_residuals(level)))
        inputs = level.width + beside[number]
    return nn.ModuleList(blocks)
