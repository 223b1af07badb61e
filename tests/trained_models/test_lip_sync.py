"""How the built-in lip-sync model is made: voices and mouths, its two networks, their training, its bundle."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.families.lip_sync.network import PLANES, lip_outline, lip_planes, open_lip_sync
from realtime.models.library import built_in_folder, load_bundle
from realtime.tracking.tracker import Tracker
from trained_models.recipes.lip_sync.mouth_code import CODE, JAW, decoded, encoded
from trained_models.recipes.lip_sync.outlines import outline_of, outlines, outlines_path
from trained_models.recipes.lip_sync.rooms import heard
from trained_models.recipes.lip_sync.takes import PICTURES, SIDE, Takes, read_takes, takes_path, window_of
from trained_models.recipes.people.pairs import joined

torch = pytest.importorskip("torch")

from trained_models.recipes.lip_sync import hearing, training  # noqa: E402
from trained_models.recipes.lip_sync.batches import Samples, spread  # noqa: E402
from trained_models.recipes.lip_sync.gathered import Gathered, person_files  # noqa: E402
from trained_models.recipes.lip_sync.network import ROWS, SIZE, TOP, Ear, LipSync, Painter, multiply_adds  # noqa: E402
from trained_models.recipes.lip_sync.spoken import Spoken, any_voice, say  # noqa: E402
from trained_models.recipes.lip_sync.to_bundle import load_weights, save_weights, to_onnx, write_bundle  # noqa: E402

NAMES = [*(f"{n}{side}" for n in CODE for side in ("Left", "Right")), *CODE, "browInnerUp"]
SLIM = (8, 12, 16)


def a_take() -> Takes:
    """One person with a dark mouth as high as the jaw is open, twice."""
    rng = np.random.default_rng(1)
    codes = np.zeros((2, PICTURES, len(CODE)), np.float32)
    codes[:, 1:, JAW] = rng.uniform(0, 1, (2, PICTURES - 1))
    wave = 128 + 60 * np.sin(np.arange(SIDE) / 9)[:, None] * np.sin(np.arange(SIDE) / 7)[None]
    frames = np.repeat(wave[None, None, :, :, None].astype(np.uint8), 2, 0).repeat(PICTURES, 1).repeat(3, 4)
    for take in range(2):
        for k in range(PICTURES):
            high = round(1 + 14 * float(codes[take, k, JAW]))
            cv2.ellipse(frames[take, k], (80, 112), (16, high), 0, 0, 360, (20, 15, 40), -1)
    lips = np.tile(np.array([[96, 112], [64, 112], [80, 108], [80, 116]], np.float32), (2, PICTURES, 1, 1))
    around = np.linspace(np.pi, 3 * np.pi, 20, endpoint=False)
    outer, inner = (np.stack([80 + w * np.cos(around), 112 + h * np.sin(around)], 1) for w, h in ((18, 16), (16, 9)))
    outlines = np.tile(np.concatenate([outer, inner]).astype(np.float32), (2, PICTURES, 1, 1))
    return Takes(frames, codes, lips, outlines, np.full((2, 80, 120), -4, np.float32), cartoon=False)


def sayings(count: int = 600) -> hearing.Sayings:
    """A made-up voice: its low bands are as loud as its jaw is open."""
    rng = np.random.default_rng(2)
    jaw = np.clip(np.convolve(rng.normal(0, 2, count), np.ones(9) / 9, "same"), 0, 1).astype(np.float32)
    mel = np.full((80, count), -4, np.float32)
    mel[5:50] += 6 * jaw
    codes = np.zeros((count, len(CODE)), np.float32)
    codes[:, JAW] = jaw
    return hearing.Sayings([Spoken(mel, codes, "made up")])


def test_a_mouths_code_is_read_and_written() -> None:
    codes = np.random.default_rng(0).uniform(0, 1, (5, len(CODE))).astype(np.float32)
    actions = decoded(codes, NAMES)
    np.testing.assert_allclose(encoded(actions, NAMES), codes, atol=1e-6)
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


def test_the_ear_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    said = sayings()
    plan = hearing.Plan(batch=24, steps=24, warm_up_steps=4)
    rng = np.random.default_rng(6)
    mel, codes = said.batch(rng, 200)
    ear = hearing.train_ear(said, said, tmp_path / "whole", plan)
    with torch.no_grad():
        told = ear(mel)[:, JAW].numpy()
    assert np.corrcoef(told, codes[:, JAW].numpy())[0, 1] > 0.5
    asked = iter([False] * 9 + [True])
    hearing.train_ear(said, said, tmp_path / "parts", plan, pause=lambda: next(asked))
    again = hearing.train_ear(said, said, tmp_path / "parts", plan)
    for one, other in zip(ear.state_dict().values(), again.state_dict().values(), strict=True):
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
    tracker = Tracker(provider="cpu")
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


def test_training_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    samples = Samples([a_take()], plain=True)
    held = spread(samples, 4)
    plan = training.Plan(batch=2, steps=10, warm_up_steps=2, widths=SLIM)
    whole = training.Training(plan)
    before = whole.judge(held)
    for number in range(5):
        whole.step(samples.batch(number, 2))
    whole.save(tmp_path / "painter.pt")
    resumed = training.Training(plan)
    resumed.load(tmp_path / "painter.pt")
    for number in range(5, 10):
        ends = [t.step(samples.batch(number, 2))["loss"] for t in (whole, resumed)]
        assert ends[0] == ends[1]
    assert whole.judge(held)["colour"] < before["colour"]
    assert whole.sheet(held).shape == (5 * (SIZE - TOP), 4 * SIZE, 3)


def test_training_starts_from_weights_that_fit(tmp_path: Path) -> None:
    samples = Samples([a_take()], plain=True)
    held, plan = spread(samples, 2), training.Plan(batch=1, steps=1, widths=SLIM)
    torch.manual_seed(3)
    given, hears = Painter(SLIM), Ear()
    begun = training.train(lambda: samples, held, tmp_path / "none", training.Plan(steps=0, widths=SLIM), begin=given)
    for name, value in given.state_dict().items():
        assert torch.equal(begun.averaged.state_dict()[name], value)
    with pytest.raises(ValueError, match="widths"):
        training.Training(plan).begin(Painter((4, 4, 4)))
    training.train(lambda: samples, held, tmp_path / "run", plan, begin=given)
    again = training.train(lambda: samples, held, tmp_path / "run", plan, begin=Painter(SLIM))
    assert again.step_number == 1  # a run that has begun goes on with its own
    moved = (again.averaged.fine[0][0].weight - given.fine[0][0].weight).detach().abs().max()
    assert 0 < float(moved) < 0.1
    ear = hearing.train_ear(sayings(), sayings(), tmp_path / "ear", hearing.Plan(steps=0), begin=hears)
    assert torch.equal(ear.layers[0][0].weight, hears.layers[0][0].weight)


def test_a_run_keeps_log_and_state_and_ends_when_told(tmp_path: Path) -> None:
    samples = Samples([a_take()], plain=True)
    asked = iter([False, False, True])
    plan = training.Plan(batch=1, steps=3, widths=SLIM)
    run, held = tmp_path / "run", spread(samples, 2)
    assert training.train(lambda: samples, held, run, plan, pause=lambda: next(asked)).step_number == 2
    assert training.train(lambda: samples, held, run, plan).step_number == 3


def test_the_network_is_small_and_leaves_the_upper_face_alone() -> None:
    network = LipSync(Ear(), Painter()).eval()
    assert 2 * multiply_adds(network) < 1e9
    faces = torch.rand(1, 6, SIZE, SIZE)
    lips = torch.rand(1, PLANES, SIZE, SIZE)
    with torch.no_grad():
        made = network(torch.full((1, 1, 80, 16), -4.0), faces, lips)
        other = network(torch.full((1, 1, 80, 16), -4.0), torch.cat([faces[:, :3] * 0, faces[:, 3:]], 1), lips)
        untold = network(torch.full((1, 1, 80, 16), -4.0), faces, 0 * lips)
    assert made.shape == (1, 3, SIZE, SIZE)
    assert torch.equal(made[:, :, :TOP], faces[:, 3:, :TOP])
    assert torch.equal(made, other)  # only the face as it is counts
    assert not torch.equal(made, untold)  # and where its lips are


def test_the_export_is_the_network(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = LipSync(Ear(), Painter(SLIM), torch.full((len(CODE),), 1.3)).eval()
    for module in network.painter.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=0.05)
    outline = a_take().outlines[0, 0] - (SIDE - SIZE) / 2
    lips = torch.from_numpy(lip_planes(outline, SIZE, SIZE))[None]
    samples = [(torch.randn(1, 1, 80, 16).clamp(-4, 4), torch.rand(1, 6, SIZE, SIZE), lips) for _ in range(2)]
    model, parity = to_onnx(network, samples)
    assert parity.worst < 2e-4
    save_weights(network, tmp_path / "weights.npz")
    again = load_weights(tmp_path / "weights.npz")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    write_bundle(tmp_path / "talk", network, parity, model, {"steps": 3}, {"fact": "true"})
    live = open_lip_sync(load_bundle(tmp_path / "talk"), provider="cpu", threads=1)
    face = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    drawn = live.mouth(face, samples[0][0][0, 0].numpy(), outline)
    live.close()
    fed = torch.from_numpy(face.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    with torch.no_grad():
        expected = network(samples[0][0], torch.cat([fed, fed], 1), lips)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(drawn - expected).max() < 4  # half precision on its way
    np.testing.assert_array_equal(drawn[:TOP], face[:TOP])


def test_takes_are_read_as_written_and_new_ones_are_found(tmp_path: Path) -> None:
    take = a_take()
    folder = tmp_path / "takes"
    folder.mkdir()

    def write(number: int) -> None:
        files = [cv2.imencode(".png", picture)[1].tobytes() for picture in take.frames.reshape(-1, SIDE, SIDE, 3)]
        data, offsets = joined(files)
        np.savez(
            takes_path(folder, number),
            **{"frame_jpg": data, "frame_jpg_offsets": offsets, "codes": take.codes, "lips": take.lips},
            **{"mel": take.mel, "cartoon": np.bool_(False)},
        )
        np.save(outlines_path(takes_path(folder, number)), take.outlines)

    for number in range(7):
        write(number)
    (folder / "takes_00099.1.part.npz").write_bytes(b"")
    assert len(person_files(tmp_path)) == 7
    read = read_takes(takes_path(folder, 0))
    np.testing.assert_array_equal(read.frames, take.frames)
    np.testing.assert_array_equal(read.outlines, take.outlines)
    gathered = Gathered(tmp_path)
    assert len(gathered()) == 2 * PICTURES  # six people are held out
    write(7)
    assert len(gathered()) == 4 * PICTURES
    assert len(gathered.held_out().codes) == 14
