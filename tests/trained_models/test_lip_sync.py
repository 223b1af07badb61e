"""How the built-in lip-sync model is made: voices and mouths, its networks, their training, its bundle."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from spoken_faces import a_network, a_speaking_take, a_take, sayings

from realtime.audio.mel import mel_frames
from realtime.families.lip_sync.network import LIP_POINTS, PLANES, lip_outline, lip_planes, open_lip_sync
from realtime.models.library import built_in_folder, face_folder, load_bundle
from realtime.tracking.tracker import Tracker
from trained_models.recipes.lip_sync import check, fine, to_bundle
from trained_models.recipes.lip_sync import network as net
from trained_models.recipes.lip_sync import samples as stored
from trained_models.recipes.lip_sync import sync_critic as sync
from trained_models.recipes.lip_sync.batches import Samples, spread
from trained_models.recipes.lip_sync.dataset import Dataset
from trained_models.recipes.lip_sync.encoder_training import PLAN as ENCODER_PLAN
from trained_models.recipes.lip_sync.encoder_training import EncoderTraining, heard
from trained_models.recipes.lip_sync.samples import SEEN, SIDE
from trained_models.recipes.lip_sync.spoken import any_voice, say
from trained_models.recipes.sample_files import finished, joined, numbered
from trained_models.training.ema import run
from trained_models.training.onnx_export import giga_flops

NAMES = [*(f"{n}{side}" for n in net.CODE for side in ("Left", "Right")), *net.CODE, "browInnerUp"]


def test_a_mouths_code_is_read_and_written() -> None:
    codes = np.random.default_rng(0).uniform(0, 1, (5, len(net.CODE))).astype(np.float32)
    actions = net.actions_of(codes, NAMES)
    np.testing.assert_allclose(net.codes_of(actions, NAMES), codes, atol=1e-6)
    assert not actions[:, NAMES.index("browInnerUp")].any()


def test_somebody_says_something_and_the_mouth_goes_with_it() -> None:
    names = [*NAMES, "mouthClose"]
    try:
        said = say("Mama, papa: a big blue boat.", "en-us", 150, 50, names)
    except OSError as missing:
        pytest.skip(f"espeak-ng: {missing}")
    assert said.mel.shape == (80, len(said.codes))
    assert said.codes.min() >= 0
    assert 0.3 < said.codes[:, net.JAW].max() <= 1
    loud = said.mel.mean(0)
    lags = [np.corrcoef(np.roll(said.codes[:, net.JAW], lag), loud)[0, 1] for lag in range(-16, 17)]
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


def test_windows_of_pictures_are_those_of_their_time_and_of_the_live_voice() -> None:
    assert [stored.window_of(k) - stored.window_of(1) for k in (1, 2, 6, 11)] == [0, 3, 16, 32]
    assert stored.window_of(stored.PICTURES - 1) + 16 <= 120
    sound = (0.3 * np.sin(np.arange(24_000) / 9)).astype(np.float32)
    spoken = check.windows(sound)(0.4)
    np.testing.assert_array_equal(spoken.mel, mel_frames(sound)[:, 32:48])
    assert spoken.speech == 1


@pytest.mark.slow
def test_the_encoder_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    said, plan = sayings(), replace(ENCODER_PLAN, batch=24, steps=24, warm_up_steps=4)
    mel, codes = said.batch(999, 200)

    def trained(folder: str, pause: Callable[[], bool] = lambda: False) -> net.AudioEncoder:
        return run(EncoderTraining(plan), lambda: said, said, tmp_path / folder, pause=pause).averaged

    encoder = trained("whole")
    with torch.no_grad():
        told = encoder(mel)[:, net.JAW].numpy()
    assert np.corrcoef(told, codes[:, net.JAW].numpy())[0, 1] > 0.5
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
    edge = (stored.SIDE - net.SIZE) / 2
    expected = lip_planes(take.outlines[0, 3] - (edge, edge + net.TOP), net.SIZE, net.ROWS)
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
    scale = stored.SIDE / (1.15 * max(x1 - x0, y1 - y0))
    middle = np.array([x0 + x1, y0 + y1]) / 2
    matrix = np.column_stack([np.eye(2) * scale, (stored.SIDE - 1) / 2 - scale * middle])
    crop = np.asarray(cv2.warpAffine(picture, matrix, (stored.SIDE, stored.SIDE), flags=cv2.INTER_AREA), np.uint8)
    found = stored.outline_of(tracker, crop)
    assert found is not None
    assert np.abs(found - lip_outline(face.landmarks, matrix)).max() < 3
    assert stored.outline_of(tracker, np.zeros_like(crop)) is None
    tracker.close()
    takes = tmp_path / "takes_00007.npz"
    frames = np.stack([crop, np.zeros_like(crop)])[None]
    first = stored.outlines(takes, frames)
    np.testing.assert_allclose(first[0, 0], found, atol=1e-4)
    assert np.isnan(first[0, 1]).all()
    np.testing.assert_array_equal(stored.outlines(takes, np.zeros_like(frames)), first)


def test_the_network_is_small_and_leaves_the_upper_face_alone() -> None:
    network = net.LipSync(net.AudioEncoder(), net.Decoder()).eval()
    faces = torch.rand(1, 6, net.SIZE, net.SIZE)
    lips = torch.rand(1, PLANES, net.SIZE, net.SIZE)
    assert giga_flops(network, (torch.zeros(1, 1, 80, 16), faces, lips)) < 1
    fine_one = net.LipSync(net.AudioEncoder(), net.Decoder(net.FINE_WIDTHS, net.FINISH)).eval()
    assert 1.5 < giga_flops(fine_one, (torch.zeros(1, 1, 80, 16), faces, lips)) < 4
    with torch.no_grad():
        made = network(torch.full((1, 1, 80, 16), -4.0), faces, lips)
        other = network(torch.full((1, 1, 80, 16), -4.0), torch.cat([faces[:, :3] * 0, faces[:, 3:]], 1), lips)
        untold = network(torch.full((1, 1, 80, 16), -4.0), faces, 0 * lips)
    assert made.shape == (1, 3, net.SIZE, net.SIZE)
    assert torch.equal(made[:, :, : net.TOP], faces[:, 3:, : net.TOP])
    assert torch.equal(made, other)  # only the face as it is counts
    assert not torch.equal(made, untold)  # and where its lips are


@pytest.mark.slow
def test_the_export_is_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = net.LipSync(*a_network().children(), torch.full((len(net.CODE),), 1.3)).eval()
    outline = a_take().outlines[0, 0] - (stored.SIDE - net.SIZE) / 2
    lips = torch.from_numpy(lip_planes(outline, net.SIZE, net.SIZE))[None]
    samples = [(torch.randn(1, 1, 80, 16).clamp(-4, 4), torch.rand(1, 6, net.SIZE, net.SIZE), lips) for _ in range(2)]
    exported = _, parity = to_bundle.to_onnx(network, samples)
    assert parity.worst < 2e-4
    monkeypatch.setattr(to_bundle, "to_onnx", lambda *_: exported)  # it takes its time
    to_bundle.save_weights(network, tmp_path / "weights.npz")
    again = to_bundle.load_weights(tmp_path / "weights.npz")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    to_bundle.write_lip_sync(tmp_path / "talk", network, samples, {"steps": 3}, {"fact": "true"})
    live = open_lip_sync(load_bundle(tmp_path / "talk"), provider="cpu", threads=1)
    face = np.random.default_rng(0).integers(0, 255, (net.SIZE, net.SIZE, 3), np.uint8)
    drawn = live.mouth(face, samples[0][0][0, 0].numpy(), outline)
    live.close()
    fed = torch.from_numpy(face.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    with torch.no_grad():
        expected = network(samples[0][0], torch.cat([fed, fed], 1), lips)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(drawn - expected).max() < 4  # half precision on its way
    np.testing.assert_array_equal(drawn[: net.TOP], face[: net.TOP])


def test_samples_are_read_as_written_and_new_ones_are_found(tmp_path: Path) -> None:
    take = a_take()
    folder = tmp_path / "takes"
    folder.mkdir()
    pictures = take.frames.reshape(-1, stored.SIDE, stored.SIDE, 3)
    data, offsets = joined([cv2.imencode(".png", picture)[1].tobytes() for picture in pictures])

    def write(number: int) -> None:
        np.savez(
            numbered(folder, number),
            **{"frame_jpg": data, "frame_jpg_offsets": offsets, "codes": take.codes, "lips": take.lips},
            **{"mel": take.mel, "cartoon": np.bool_(False)},
        )
        np.save(stored.outlines_path(numbered(folder, number)), take.outlines)

    for number in range(7):
        write(number)
    (folder / "takes_00099.1.part.npz").write_bytes(b"")
    assert len(finished(tmp_path / "takes")) == 7
    read = stored.read_samples(numbered(folder, 0))
    np.testing.assert_array_equal(read.frames, take.frames)
    np.testing.assert_array_equal(read.outlines, take.outlines)
    dataset = Dataset(tmp_path)
    assert len(dataset()) == 2 * stored.PICTURES  # six people are held out
    write(7)
    assert len(dataset()) == 4 * stored.PICTURES
    assert len(dataset.held_out().codes) == 14


def test_offset_correlation_and_loudness_are_measured() -> None:
    rng = np.random.default_rng(8)
    loud = np.convolve(rng.uniform(0, 1, 220), np.ones(5) / 5, "same").astype(np.float32)
    late = check.in_step(0.2 * np.roll(loud, 2), loud)
    assert late.offset == pytest.approx(2, abs=0.05)
    assert late.r > 0.95 > late.r_at_0
    assert check.in_step(np.roll(loud, -3), loud).offset == pytest.approx(-3, abs=0.05)
    assert check.in_step(np.zeros_like(loud), loud).r == 0
    sound = np.zeros(32_000, np.float32)
    sound[16_000:17_600] = 0.5
    heard = check.envelope(sound, 50)
    assert 25 <= int(heard.argmax()) <= 28
    assert heard[:23].max() < 1e-5


@pytest.mark.parametrize(
    ("bundle", "file", "most", "facts"),
    [
        ("lip-sync", "lip_sync.onnx", 4e6, {"export", "work", "held_out"}),
        ("lip-sync", "fine.onnx", 10e6, {"fine_export", "fine_work"}),
        ("motion", "refine.onnx", 4e6, {"export", "work", "held_out_mouth", "held_out_eyes"}),
    ],
)
def test_a_built_in_network_is_small_and_says_what_it_measured(
    bundle: str, file: str, most: float, facts: set[str]
) -> None:
    found = load_bundle(built_in_folder() / bundle)
    assert found.path(file).stat().st_size < most
    assert found.card.identity.kind == "none"
    assert facts <= set(found.card.measured)


def test_the_built_in_model_moves_mouths_and_nothing_else() -> None:
    network = open_lip_sync(load_bundle(built_in_folder() / "lip-sync"), provider="cpu", threads=1)
    face = cv2.resize(cv2.imread(str(built_in_folder() / "ada" / "preview.jpg")), (net.SIZE, net.SIZE))
    try:
        silent = network.mouth(face, np.full((80, 16), -4, np.float32))
        spoken = np.full((80, 16), -4, np.float32)
        spoken[4:40] = 2.0
        loud = network.mouth(face, spoken)
    finally:
        network.close()
    np.testing.assert_array_equal(silent[: net.TOP], face[: net.TOP])
    moved = np.abs(loud.astype(int) - silent).mean(2)
    assert moved[70:120, 35:93].mean() > 1.0
    assert moved[70:120, 35:93].mean() > 4 * moved[net.TOP : 70, :20].mean()


WIDER, FEW = (12, 20, 24), 6


def clips() -> sync.Clips:
    return sync.Clips([a_speaking_take()], Samples([a_speaking_take()], plain=True))


def test_a_wider_decoder_draws_the_same() -> None:
    given = a_network().decoder
    fed = torch.rand(2, 3, net.ROWS, net.SIZE), torch.rand(2, 2, net.ROWS, net.SIZE), torch.rand(2, len(net.CODE))
    fed[2][:, net.JAW] = 0.4  # open: of lips that meet the fine decoder paints nothing
    wide = fine.widened(given, WIDER, FEW, noise_seed=None).eval()
    with torch.no_grad():
        drawn, same, other = given(*fed), wide(*fed), fine.widened(given, WIDER, FEW).eval()(*fed)
    assert (wide.widths, wide.finish) == (WIDER, FEW)
    torch.testing.assert_close(same, drawn, atol=1e-5, rtol=0)
    assert 0 < float((other - drawn).abs().mean()) < 0.05  # its copies are not alike, so that they can part
    with torch.no_grad():
        seen = [
            wide.parts(fed[0], fed[1], torch.eye(len(net.CODE))[[net.JAW, net.JAW]] * jaw)[2].max()
            for jaw in (0.02, 0.5)
        ]
    assert seen[0] == 0 < seen[1]
    with pytest.raises(ValueError, match="widened"):
        fine.widened(given, (4, 12, 16))


def test_a_mouth_is_shut_before_it_is_shown_now_and_then() -> None:
    take = a_speaking_take()
    widest = int(take.codes[0, :, net.JAW].argmax())
    open_, closed = (
        Samples([take], plain=True).pairs([(0, widest, 3)], np.random.default_rng(0), shut=[shut])
        for shut in (False, True)
    )
    dark = [(pairs.shown[0].amax(0) < 0.2).sum() for pairs in (open_, closed)]
    assert dark[1] < 0.3 * dark[0]
    assert torch.equal(open_.truth, closed.truth)
    # Its lips lie where they are shut, and the way from there to the truth's is the longer one.
    between = [(pairs.lips[0].amax(0)[:, SEEN // 2] > 0.5).nonzero().flatten() for pairs in (open_, closed)]
    assert float(between[0].diff().max()) > 3
    assert float(between[1].diff().max()) <= 2
    assert torch.isfinite(closed.moves).all()
    assert not torch.equal(open_.moves, closed.moves)
    # In training some are, whatever their codes.
    often, never = (torch.cat([Samples([take], shut=s).batch(n, 4).shown for n in range(12)]) for s in (0.9, 0.0))
    assert (often.amax(1) < 0.2).sum() < 0.7 * (never.amax(1) < 0.2).sum()


def test_where_a_mouth_opens_is_told() -> None:
    take = a_speaking_take()
    widest = int(take.codes[0, :, net.JAW].argmax())
    pairs = Samples([take], plain=True).pairs([(0, 0, widest), (0, widest, widest)], np.random.default_rng(0))
    middle = round(float(np.mean(take.outlines[0, widest, len(LIP_POINTS) // 2 :, 1])) - (SIDE - SEEN) / 2 - net.TOP)
    assert pairs.opened[0, 0, middle - 4, SEEN // 2] > 0.9  # at rest it is open by two rows
    assert pairs.opened[0].sum() > 50
    assert pairs.opened[1].sum() < 0.2 * pairs.opened[0].sum()  # open already


def test_clips_are_five_pictures_and_their_sound() -> None:
    made = clips()
    clip, again = made.batch(3, 4, plain=True), made.batch(3, 4, plain=True)
    assert torch.equal(clip.faces, again.faces)
    assert clip.faces.shape == (4, sync.MOUTHS, 3, net.ROWS, net.SIZE)
    assert torch.equal(clip.heard, clip.mels[:, 0])
    assert not torch.equal(clip.heard, clip.wrong)
    edge = (SIDE - SEEN) // 2
    take, first = clip.picked[0]
    frame = a_speaking_take().frames[take, first + 2, edge + net.TOP : edge + SEEN, edge : edge + SEEN]
    np.testing.assert_allclose(clip.faces[0, 2].permute(1, 2, 0).numpy() * 255, frame, atol=1e-3)
    cut = sync.mouths(clip.faces, clip.corners)
    assert cut.shape == (4, sync.MOUTHS, 3, sync.HIGH, sync.WIDE)
    dark = (cut[0].amax(1) < 0.2).flatten(1).sum(1)
    assert int(dark.max()) == int((clip.faces[0].amax(1) < 0.2).flatten(1).sum(1).max())  # all of the mouth is in it
    shown, lips = made.shown(clip, 3)
    assert shown.shape == (4 * sync.MOUTHS, 3, net.ROWS, net.SIZE)
    assert torch.equal(shown[0], shown[sync.MOUTHS - 1])
    assert lips.shape == (4 * sync.MOUTHS, 2, net.ROWS, net.SIZE)


@pytest.mark.slow
def test_the_critic_learns_which_sound_is_in_step_and_is_kept(tmp_path: Path) -> None:
    made = clips()
    critic = sync.train_sync_critic(made, made, tmp_path, steps=24, batch=8)
    clip = made.batch(100, 24)
    cut = sync.mouths(clip.faces, clip.corners)
    share, cosine = sync.told_apart(critic, cut, clip)
    assert share > 0.7
    assert -1 <= cosine <= 1
    with torch.no_grad():
        right, wrong = (sync.contrast(critic, cut, clip), sync.contrast(critic, cut, replace(clip, heard=clip.wrong)))
    assert right < wrong
    again = sync.train_sync_critic(made, made, tmp_path, steps=24)
    assert sync.told_apart(again, cut, clip) == (share, cosine)
    assert not any(p.requires_grad for p in again.parameters())


@pytest.mark.slow
def test_the_judge_tells_paint_from_truth_where_mouths_open() -> None:
    torch.manual_seed(2)
    judge, codes = fine.PatchDiscriminator(), torch.rand(6, len(net.CODE))
    truth, opened = (torch.rand(6, 3, sync.HIGH, sync.WIDE), torch.zeros(6, 1, sync.HIGH, sync.WIDE))
    opened[:, :, 20:36, 24:48] = 1
    painted = truth.clone()
    painted[:, :, 20:36, 24:48] = 0.5
    optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3)
    before = float(fine.discriminator_loss(judge, truth, painted, codes, opened).detach())
    for _ in range(12):
        optimizer.zero_grad()
        fine.discriminator_loss(judge, truth, painted, codes, opened).backward()
        optimizer.step()
    assert float(fine.discriminator_loss(judge, truth, painted, codes, opened).detach()) < 0.6 * before
    looks, alike = fine.adversarial_loss(judge, truth, painted, codes, opened)
    real, same = fine.adversarial_loss(judge, truth, truth, codes, opened)
    assert looks > real
    assert alike > 0.01
    assert same == 0
    assert float(fine.discriminator_loss(judge, truth, painted, codes, 0 * opened).detach()) == 0  # nothing to be told


@pytest.mark.slow
def test_the_fine_decoder_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    made, samples, first = clips(), Samples([a_speaking_take()], shut=0.4), a_network()
    critic = sync.train_sync_critic(made, made, tmp_path, steps=2, batch=4)
    plan = replace(fine.FINE_PLAN, batch=2)

    def start() -> fine.FineTraining:
        torch.manual_seed(7)
        begun = fine.FineTraining(plan, made, first, critic, WIDER, FEW)
        begun.begin(fine.widened(first.decoder, WIDER, FEW))
        return begun

    whole = start()
    alone = whole.step(samples.batch(0, 2))
    whole.step_number = fine.FROM + 1
    judged = whole.step(samples.batch(1, 2))
    whole.step_number = fine.IN_STEP_FROM
    heard = whole.step(samples.batch(2, 2))
    assert ("painted" in alone, "painted" in judged, "late" in judged, "late" in heard) == (False, True, False, True)
    whole.save(tmp_path / "fine.pt")
    resumed = start()
    resumed.load(tmp_path / "fine.pt")
    ends = [t.step(samples.batch(3, 2)) for t in (whole, resumed)]
    assert ends[0] == ends[1]
    before = [p.clone() for p in first.encoder.parameters()]
    begun = fine.FineTraining(replace(plan, steps=2), made, first, critic, WIDER, FEW)
    ended = run(
        begun, lambda: samples, samples.batch(9, 2), tmp_path / "run", begin=fine.widened(first.decoder, WIDER, FEW)
    )
    assert ended.step_number == 2
    assert all(torch.equal(a, b) for a, b in zip(before, first.encoder.parameters(), strict=True))  # the encoder stays


@pytest.mark.slow
def test_the_fine_export_is_the_network_and_is_told_on_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = a_network()
    finer = net.LipSync(first.encoder, fine.widened(first.decoder, WIDER, FEW).eval()).eval()
    torch.nn.init.normal_(finer.decoder.field.weight, std=0.02)
    pictures = torch.rand(1, 6, net.SIZE, net.SIZE), torch.rand(1, 2, net.SIZE, net.SIZE)
    samples = [(torch.randn(1, 1, 80, 16).clamp(-4, 4), *pictures)]
    for file in (built_in_folder() / "lip-sync").iterdir():  # as the first network: it is fed alike
        (tmp_path / "talk").mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / "talk")
    exported = _, parity = to_bundle.to_onnx(finer, samples, fine=True)
    assert parity.worst < 2e-4
    monkeypatch.setattr(to_bundle, "to_onnx", lambda *_, fine: exported)  # it takes its time
    for _ in range(2):  # a second export takes the first one's place
        to_bundle.add_fine(tmp_path / "talk", finer, samples, {"steps": 5})
    bundle = load_bundle(tmp_path / "talk")
    assert bundle.card.output.fine_size == 256
    assert bundle.card.training["fine_steps"] == 5
    assert {"work", "silence", "fine_work", "fine_export"} <= set(bundle.card.measured)
    live = open_lip_sync(bundle, provider="cpu", threads=1)
    # One flat colour on a fine chequer: what the field moves stays as sharp, what is above stays to the bit.
    face = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    drawn = live.mouth(face, samples[0][0][0, 0].numpy())
    live.close()
    np.testing.assert_array_equal(drawn[: 2 * net.TOP - 2], face[: 2 * net.TOP - 2])
    assert not np.array_equal(drawn, face)
    to_bundle.save_weights(finer, tmp_path / "fine.npz")
    again = to_bundle.load_weights(tmp_path / "fine.npz")
    assert (again.decoder.widths, again.decoder.finish) == (WIDER, FEW)
