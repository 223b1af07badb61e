"""How the built-in lip-sync model is made: voices and mouths, its two networks, their training, its bundle."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.audio.mel import mel_frames
from realtime.families.lip_sync.network import PLANES, lip_outline, lip_planes, open_lip_sync
from realtime.models.library import built_in_folder, face_folder, load_bundle
from realtime.tracking.tracker import Tracker
from trained_models.recipes.sample_files import joined, numbered

torch = pytest.importorskip("torch")

from spoken_faces import SLIM, a_network, a_take, sayings  # noqa: E402

from trained_models.recipes.lip_sync.batches import Samples, spread  # noqa: E402
from trained_models.recipes.lip_sync.check import envelope, in_step, windows  # noqa: E402
from trained_models.recipes.lip_sync.dataset import Dataset, person_files  # noqa: E402
from trained_models.recipes.lip_sync.decoder_training import PLAN, DecoderTraining  # noqa: E402
from trained_models.recipes.lip_sync.encoder_training import PLAN as ENCODER_PLAN  # noqa: E402
from trained_models.recipes.lip_sync.encoder_training import EncoderTraining, heard  # noqa: E402
from trained_models.recipes.lip_sync.network import (  # noqa: E402
    CODE,
    JAW,
    ROWS,
    SIZE,
    TOP,
    AudioEncoder,
    Decoder,
    LipSync,
    actions_of,
    codes_of,
)
from trained_models.recipes.lip_sync.samples import (  # noqa: E402
    PICTURES,
    SIDE,
    outline_of,
    outlines,
    outlines_path,
    read_samples,
    window_of,
)
from trained_models.recipes.lip_sync.spoken import any_voice, say  # noqa: E402
from trained_models.recipes.lip_sync.to_bundle import (  # noqa: E402
    load_weights,
    save_weights,
    to_onnx,
    write_lip_sync,
)
from trained_models.training.ema import run  # noqa: E402
from trained_models.training.onnx_export import giga_flops  # noqa: E402

NAMES = [*(f"{n}{side}" for n in CODE for side in ("Left", "Right")), *CODE, "browInnerUp"]


def test_a_mouths_code_is_read_and_written() -> None:
    codes = np.random.default_rng(0).uniform(0, 1, (5, len(CODE))).astype(np.float32)
    actions = actions_of(codes, NAMES)
    np.testing.assert_allclose(codes_of(actions, NAMES), codes, atol=1e-6)
    assert not actions[:, NAMES.index("browInnerUp")].any()


def test_somebody_says_something_and_the_mouth_goes_with_it() -> None:
    names = [*NAMES, "mouthClose"]
    try:
        said = say("Mama, papa: a big blue boat.", "en-us", 150, 50, names)
    except OSError as missing:
        pytest.skip(f"espeak-ng: {missing}")
    assert said.mel.shape == (80, len(said.codes))
    assert said.codes.min() >= 0
    assert 0.3 < said.codes[:, JAW].max() <= 1
    loud = said.mel.mean(0)
    lags = [np.corrcoef(np.roll(said.codes[:, JAW], lag), loud)[0, 1] for lag in range(-16, 17)]
    assert abs(int(np.argmax(lags)) - 16) <= 8  # of 12.5 ms


def test_who_is_held_out_is_never_trained_on() -> None:
    rng = np.random.default_rng(3)
    trained = {any_voice(rng)[:2] for _ in range(200)}
    held = {any_voice(rng, held_out=True)[:2] for _ in range(50)}
    assert not {text for text, _ in trained} & {text for text, _ in held}
    assert not {voice.split("+")[-1] for _, voice in trained} & {voice.split("+")[-1] for _, voice in held}


def test_rooms_change_a_voice_but_keep_its_place() -> None:
    mel, _ = sayings().at(np.arange(30, 400, 5))
    made = heard(mel, np.random.default_rng(4))
    assert made.shape == (len(mel), 80, 16)
    assert np.isfinite(made).all()
    assert made.min() >= -4
    assert made.max() <= 4
    same = heard(mel, np.random.default_rng(4))
    np.testing.assert_array_equal(made, same)
    clear = [k for k in range(len(mel)) if mel[k, 20, -16:].std() > 0.5]
    alike = [np.corrcoef(made[k, 5:50].mean(0), mel[k, 5:50, -16:].mean(0))[0, 1] for k in clear]
    assert np.median(alike) > 0.8


def test_the_window_of_a_picture_is_that_of_its_time() -> None:
    assert [window_of(k) - window_of(1) for k in (1, 2, 6, 11)] == [0, 3, 16, 32]
    assert window_of(PICTURES - 1) + 16 <= 120


@pytest.mark.slow
def test_the_encoder_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    said, plan = sayings(), replace(ENCODER_PLAN, batch=24, steps=24, warm_up_steps=4)
    mel, codes = said.batch(999, 200)

    def trained(folder: str, pause: Callable[[], bool] = lambda: False) -> AudioEncoder:
        return run(EncoderTraining(plan), lambda: said, said, tmp_path / folder, pause=pause).averaged

    encoder = trained("whole")
    with torch.no_grad():
        told = encoder(mel)[:, JAW].numpy()
    assert np.corrcoef(told, codes[:, JAW].numpy())[0, 1] > 0.5
    asked = iter([False] * 9 + [True])
    trained("parts", lambda: next(asked))
    for one, other in zip(encoder.state_dict().values(), trained("parts").state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)


def test_batches_repeat_and_pair_the_same_moment() -> None:
    samples = Samples([a_take()])
    first, again, other = (samples.batch(n, 4) for n in (5, 5, 6))
    assert torch.equal(first.shown, again.shown)
    assert not torch.equal(first.truth, other.truth)
    plain = spread(Samples([a_take()], plain=True), 4)
    # Away from the mouth the two pictures of a pair are one.
    assert torch.equal(plain.shown[..., :10], plain.truth[..., :10])
    assert not torch.equal(plain.shown, plain.truth)
    assert float(plain.weight[0, 0, 48, 64]) > 2 * float(plain.weight[0, 0, 5, 5])


def test_the_shown_mouths_lips_are_told_now_and_then_not() -> None:
    take = a_take()
    plain = Samples([take], plain=True)
    told = plain.pairs([(0, 3, 5)], np.random.default_rng(0)).lips
    edge = (SIDE - SIZE) / 2
    expected = lip_planes(take.outlines[0, 3] - (edge, edge + TOP), SIZE, ROWS)
    np.testing.assert_allclose(told[0].numpy(), expected, atol=1e-5)
    shaken = [Samples([take]).batch(n, 4).lips.sum((1, 2, 3)) for n in range(20)]
    untold = (torch.cat(shaken) == 0).float().mean()
    assert 0 < untold < 0.2
    take.outlines[0, 3] = np.nan  # the tracker saw nobody
    blind = Samples([take], plain=True).pairs([(0, 3, 5)], np.random.default_rng(0))
    assert not blind.lips.any()
    assert torch.isfinite(blind.moves).all()


def test_outlines_are_those_of_the_live_tracker_and_kept(tmp_path: Path) -> None:
    tracker = Tracker(face_folder(), provider="cpu")
    picture = cv2.imread(str(built_in_folder() / "ada" / "preview.jpg"))
    face = tracker.find(np.asarray(picture, np.uint8))[0]
    x0, y0, x1, y1 = face.box
    scale = SIDE / (1.15 * max(x1 - x0, y1 - y0))
    middle = np.array([x0 + x1, y0 + y1]) / 2
    matrix = np.column_stack([np.eye(2) * scale, (SIDE - 1) / 2 - scale * middle])
    crop = np.asarray(cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA), np.uint8)
    found = outline_of(tracker, crop)
    assert found is not None
    assert np.abs(found - lip_outline(face.landmarks, matrix)).max() < 3
    assert outline_of(tracker, np.zeros_like(crop)) is None
    tracker.close()
    takes = tmp_path / "takes_00007.npz"
    frames = np.stack([crop, np.zeros_like(crop)])[None]
    first = outlines(takes, frames)
    np.testing.assert_allclose(first[0, 0], found, atol=1e-4)
    assert np.isnan(first[0, 1]).all()
    np.testing.assert_array_equal(outlines(takes, np.zeros_like(frames)), first)


@pytest.mark.slow
def test_training_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    samples = Samples([a_take()], plain=True)
    held = spread(samples, 4)
    plan = replace(PLAN, batch=2, steps=10, warm_up_steps=2)
    whole = DecoderTraining(plan, SLIM)
    before = whole.judge(held)
    for number in range(5):
        whole.step(samples.batch(number, 2))
    whole.save(tmp_path / "decoder.pt")
    resumed = DecoderTraining(plan, SLIM)
    resumed.load(tmp_path / "decoder.pt")
    for number in range(5, 10):
        ends = [t.step(samples.batch(number, 2))["loss"] for t in (whole, resumed)]
        assert ends[0] == ends[1]
    assert whole.judge(held)["colour"] < before["colour"]


def test_training_starts_from_weights_that_fit(tmp_path: Path) -> None:
    samples = Samples([a_take()], plain=True)
    held, plan = spread(samples, 2), replace(PLAN, batch=1, steps=1)
    torch.manual_seed(3)
    given = Decoder(SLIM)
    begun = run(DecoderTraining(replace(plan, steps=0), SLIM), lambda: samples, held, tmp_path / "none", begin=given)
    for name, value in given.state_dict().items():
        assert torch.equal(begun.averaged.state_dict()[name], value)
    with pytest.raises(ValueError, match="widths"):
        DecoderTraining(plan, SLIM).begin(Decoder((4, 4, 4)))
    run(DecoderTraining(plan, SLIM), lambda: samples, held, tmp_path / "run", begin=given)
    again = run(DecoderTraining(plan, SLIM), lambda: samples, held, tmp_path / "run", begin=Decoder(SLIM))
    assert again.step_number == 1  # a run that has begun goes on with its own
    moved = (again.averaged.fine[0][0].weight - given.fine[0][0].weight).detach().abs().max()
    assert 0 < float(moved) < 0.1


def test_the_network_is_small_and_leaves_the_upper_face_alone() -> None:
    network = LipSync(AudioEncoder(), Decoder()).eval()
    faces = torch.rand(1, 6, SIZE, SIZE)
    lips = torch.rand(1, PLANES, SIZE, SIZE)
    assert giga_flops(network, (torch.zeros(1, 1, 80, 16), faces, lips)) < 1
    with torch.no_grad():
        made = network(torch.full((1, 1, 80, 16), -4.0), faces, lips)
        other = network(torch.full((1, 1, 80, 16), -4.0), torch.cat([faces[:, :3] * 0, faces[:, 3:]], 1), lips)
        untold = network(torch.full((1, 1, 80, 16), -4.0), faces, 0 * lips)
    assert made.shape == (1, 3, SIZE, SIZE)
    assert torch.equal(made[:, :, :TOP], faces[:, 3:, :TOP])
    assert torch.equal(made, other)  # only the face as it is counts
    assert not torch.equal(made, untold)  # and where its lips are


def test_the_export_is_the_network(tmp_path: Path) -> None:
    network = LipSync(*a_network().children(), torch.full((len(CODE),), 1.3)).eval()
    outline = a_take().outlines[0, 0] - (SIDE - SIZE) / 2
    lips = torch.from_numpy(lip_planes(outline, SIZE, SIZE))[None]
    samples = [(torch.randn(1, 1, 80, 16).clamp(-4, 4), torch.rand(1, 6, SIZE, SIZE), lips) for _ in range(2)]
    _, parity = to_onnx(network, samples)
    assert parity.worst < 2e-4
    save_weights(network, tmp_path / "weights.npz")
    again = load_weights(tmp_path / "weights.npz")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    write_lip_sync(tmp_path / "talk", network, samples, {"steps": 3}, {"fact": "true"})
    live = open_lip_sync(load_bundle(tmp_path / "talk"), provider="cpu", threads=1)
    face = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    drawn = live.mouth(face, samples[0][0][0, 0].numpy(), outline)
    live.close()
    fed = torch.from_numpy(face.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    with torch.no_grad():
        expected = network(samples[0][0], torch.cat([fed, fed], 1), lips)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(drawn - expected).max() < 4  # half precision on its way
    np.testing.assert_array_equal(drawn[:TOP], face[:TOP])


def test_samples_are_read_as_written_and_new_ones_are_found(tmp_path: Path) -> None:
    take = a_take()
    folder = tmp_path / "takes"
    folder.mkdir()

    def write(number: int) -> None:
        files = [cv2.imencode(".png", picture)[1].tobytes() for picture in take.frames.reshape(-1, SIDE, SIDE, 3)]
        data, offsets = joined(files)
        np.savez(
            numbered(folder, number),
            **{"frame_jpg": data, "frame_jpg_offsets": offsets, "codes": take.codes, "lips": take.lips},
            **{"mel": take.mel, "cartoon": np.bool_(False)},
        )
        np.save(outlines_path(numbered(folder, number)), take.outlines)

    for number in range(7):
        write(number)
    (folder / "takes_00099.1.part.npz").write_bytes(b"")
    assert len(person_files(tmp_path)) == 7
    read = read_samples(numbered(folder, 0))
    np.testing.assert_array_equal(read.frames, take.frames)
    np.testing.assert_array_equal(read.outlines, take.outlines)
    dataset = Dataset(tmp_path)
    assert len(dataset()) == 2 * PICTURES  # six people are held out
    write(7)
    assert len(dataset()) == 4 * PICTURES
    assert len(dataset.held_out().codes) == 14


def test_offset_and_correlation_are_found() -> None:
    rng = np.random.default_rng(8)
    loud = np.convolve(rng.uniform(0, 1, 220), np.ones(5) / 5, "same").astype(np.float32)
    late = in_step(0.2 * np.roll(loud, 2), loud)
    assert late.offset == pytest.approx(2, abs=0.05)
    assert late.r > 0.95 > late.r_at_0
    assert in_step(np.roll(loud, -3), loud).offset == pytest.approx(-3, abs=0.05)
    assert in_step(np.zeros_like(loud), loud).r == 0


def test_loudness_is_that_of_each_pictures_time() -> None:
    sound = np.zeros(32_000, np.float32)
    sound[16_000:17_600] = 0.5
    loud = envelope(sound, 50)
    assert 25 <= int(loud.argmax()) <= 28
    assert loud[:23].max() < 1e-5


def test_windows_are_those_of_the_live_voice() -> None:
    sound = (0.3 * np.sin(np.arange(24_000) / 9)).astype(np.float32)
    spoken = windows(sound)(0.4)
    np.testing.assert_array_equal(spoken.mel, mel_frames(sound)[:, 32:48])
    assert spoken.speech == 1


def test_the_bundle_is_small_and_says_what_it_measured() -> None:
    bundle = load_bundle(built_in_folder() / "lip-sync")
    assert bundle.path("lip_sync.onnx").stat().st_size < 4e6
    assert (bundle.card.identity.kind, bundle.card.input.size) == ("none", SIZE)
    assert {"export", "work", "held_out"} <= set(bundle.card.measured.facts)


def test_the_built_in_model_moves_mouths_and_nothing_else() -> None:
    network = open_lip_sync(load_bundle(built_in_folder() / "lip-sync"), provider="cpu", threads=1)
    face = cv2.resize(cv2.imread(str(built_in_folder() / "ada" / "preview.jpg")), (SIZE, SIZE))
    try:
        silent = network.mouth(face, np.full((80, 16), -4, np.float32))
        spoken = np.full((80, 16), -4, np.float32)
        spoken[4:40] = 2.0
        loud = network.mouth(face, spoken)
    finally:
        network.close()
    np.testing.assert_array_equal(silent[:TOP], face[:TOP])
    moved = np.abs(loud.astype(int) - silent).mean(2)
    assert moved[70:120, 35:93].mean() > 1.0
    assert moved[70:120, 35:93].mean() > 4 * moved[TOP:70, :20].mean()
