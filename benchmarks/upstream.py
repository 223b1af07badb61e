"""Contests against upstream: each family at full size, and our whole frame, in turns with the way upstream runs it.

Both sides have the same seeded weights, made so that activations stay near 1 and outputs fill their range, as trained
ones do. Upstream is PyTorch, eager, float32, one picture at a time; FOMM's loop encodes the avatar again for every
frame; what it also does and nobody looks at is left out, to its advantage. A SAEHD model is run by DeepFaceLive: ONNX
Runtime with options left as they are, on a graph as DeepFaceLab writes it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper, numpy_helper
from torch import nn

from benchmarks.backends import table, ways_here
from benchmarks.interleaved import speedup, take_turns
from benchmarks.quality_motion import open_avatars
from benchmarks.report import number
from benchmarks.rig import frames_of
from export.dfm_format import to_dfm
from export.families.first_order_motion import FRAME, motion_networks
from export.int8 import quantise
from export.networks.autoencoder import DFM_INPUT, DFM_OUTPUTS, Archi, DfmLayout, SaehdShape, saehd
from export.networks.first_order_motion import build
from export.networks.motion_config import PUBLISHED
from export.networks.wav2lip import WAV2LIP_96, LipShape, Wav2Lip
from export.parity import Feed, Kind, compare
from export.plan import NetworkSpec
from export.samples import mel_windows, pictures
from export.to_onnx import to_onnx
from realtime.capture.open_source import open_source
from realtime.clock import now_ns
from realtime.config import RunConfig
from realtime.errors import ConfigError, ModelError
from realtime.families.motion.effect import ReenactmentEffect, open_motion_model
from realtime.frame import Frame
from realtime.inference.ort import open_session
from realtime.inference.providers import cpu_flags
from realtime.inference.session import Session, report
from realtime.models.library import load_bundle
from realtime.pipeline.engine import Engine
from realtime.pipeline.parts import open_tracker

SEED = 3
SAEHD_224 = SaehdShape(Archi.parse("df-ud"), 224, 256, 64, 64, 22)
CALIBRATED_ON = 3
"""Samples. What int8 does to random weights says nothing of trained ones: all layers become int8, for the speed."""

TARGETS = {  # family: (how much faster it is promised to be, and in which precisions)
    "motion": ((2.0, ("fp32",)), (10.0, ("bf16", "int8", "fp32"))),
    "lip-sync": ((1.4, ("fp32",)), (5.0, ("bf16", "int8", "fp32"))),
    "swap": ((3.0, ("bf16", "int8", "fp32")),),
}
ON_AMX = {("motion", 10.0), ("lip-sync", 5.0)}
"""Promised for processors that have AMX."""

WHOLE_FRAME = 8.0
"""Times as fast as upstream's network alone: what is promised of our whole frame."""

ROUNDS, SECONDS, FRAMES = 60, 90.0, 30
"""Of the whole frame's contest; so many of the source's frames are worked off again and again."""

Outputs = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Runner:
    """A function from a feed to outputs by name, as something that `run`s."""

    run: Callable[[Feed], Outputs]


@dataclass(frozen=True, slots=True, eq=False)
class Upstream:
    """One family's contest.

    `networks` are those that run for every frame, in order; a later one's inputs are `fixed` or come from the feed and
    the earlier ones (`wiring`: its input's name to an output's). `how` names upstream's way; `theirs` makes it ready
    to run with so many threads.
    """

    family: str
    what: str
    networks: tuple[NetworkSpec, ...]
    outputs: Mapping[str, Kind]
    feeds: list[Feed]
    how: str
    theirs: Callable[[int], Runner]
    fixed: Feed = field(default_factory=dict)
    wiring: dict[str, str] = field(default_factory=dict)

    def ours(self, sessions: Sequence[Session]) -> Runner:
        """The networks of one frame on our sessions, one after the other: all outputs of the last one."""

        def run(feed: Feed) -> Outputs:
            known = {**self.fixed, **feed}
            out: Outputs = {}
            for session in sessions:
                out = session.run({name: known[self.wiring.get(name, name)] for name in session.inputs})
                known |= out
            return out

        return Runner(run)


def eager(network: Callable[[Feed], Outputs], threads: int) -> Runner:
    """A network in PyTorch as upstream runs it."""

    def run(feed: Feed) -> Outputs:
        torch.set_num_threads(threads)
        with torch.no_grad():
            return network(feed)

    return Runner(run)


def deepfacelive(dfm: bytes, threads: int) -> Runner:
    """A .dfm on ONNX Runtime with the options that DeepFaceLive leaves as they are, all outputs by our names.

    Only the number of threads is set, to that of the others; by itself it takes all cores.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(dfm, options, providers=["CPUExecutionProvider"])

    def run(feed: Feed) -> Outputs:
        # DeepFaceLive keeps pictures channels last: it pays no turning, so the input is only viewed the other way.
        driver_mask, drawn, mask = session.run(None, {DFM_INPUT: feed["face"].transpose(0, 2, 3, 1)})
        turned = (value.transpose(0, 3, 1, 2) for value in (drawn, mask, driver_mask))
        return dict(zip(("celeb_face", "celeb_mask", "driver_mask"), turned, strict=True))

    return Runner(run)


def first_order_motion() -> Upstream:
    """vox-256: 256 px, ten key points."""
    model = build(PUBLISHED["vox-256"], align_corners=True)
    _seed(model.detector)
    _seed(model.generator)
    with torch.no_grad():
        # Each Jacobian near the identity, as training starts them: it must have an inverse.
        model.detector.jacobian.weight.mul_(0.1)
        model.detector.jacobian.bias.copy_(torch.tensor([1.0, 0, 0, 1] * model.config.key_points))
    faces = [torch.from_numpy(p) for p in pictures(256, 6)[:4]]
    _settle(model.detector, (torch.cat(faces),))
    with torch.no_grad():
        points = model.detector(torch.cat(faces))
        turned = tuple(value.roll(1, 0) for value in points)
    _settle(model.generator, (torch.cat(faces), *points, *turned))
    networks = motion_networks(model, 256)
    with torch.no_grad():
        value, jacobian = model.detector(faces[0])
        encoded = networks[0].network(faces[0])

    def drawn(feed: Feed) -> Outputs:
        driving = model.detector(torch.from_numpy(feed["driving"]))
        return {"prediction": model.generator(faces[0], value, jacobian, *driving).numpy()}

    return Upstream(
        family="motion",
        what="First Order Motion Model, vox-256, one driven frame",
        networks=networks[1:],
        outputs={"prediction": "picture"},
        feeds=[{"driving": face.numpy()} for face in faces[1:]],
        how="PyTorch eager fp32",
        theirs=partial(eager, drawn),
        fixed={name: tensor.numpy() for name, tensor in zip(FRAME[:4], encoded, strict=True)},
        wiring={"driving_keypoints": "keypoints", "driving_jacobians": "jacobians"},
    )


def wav2lip(shape: LipShape = WAV2LIP_96) -> Upstream:
    """The published 96 px network, or one of another shape."""
    network = Wav2Lip(shape).eval()
    _seed(network)
    sounds, faces = mel_windows(6)[:4], []
    for face in pictures(shape.size, 6)[:4]:
        upper = face.copy()
        upper[:, :, shape.size // 2 :] = 0
        faces.append(np.concatenate([upper, face], 1))
    feeds: list[Feed] = [{"mel": mel, "faces": face} for mel, face in zip(sounds, faces, strict=True)]
    _settle(network, (torch.from_numpy(np.concatenate(sounds)), torch.from_numpy(np.concatenate(faces))))

    def mouth(feed: Feed) -> Outputs:
        return {"mouth": network(torch.from_numpy(feed["mel"]), torch.from_numpy(feed["faces"])).numpy()}

    spec = _spec("lip_sync.onnx", network, ("mel", "faces"), ("mouth",), feeds)
    what = f"Wav2Lip, {shape.size} px, one frame"
    return Upstream("lip-sync", what, (spec,), spec.outputs, feeds, "PyTorch eager fp32", partial(eager, mouth))


def deepfacelab(shape: SaehdShape = SAEHD_224) -> Upstream:
    """SAEHD df-ud with the usual sizes, or one of another shape."""
    network = saehd(shape).eval()
    _seed(network)
    feeds: list[Feed] = [{"face": face} for face in pictures(shape.resolution, 6)[:4]]
    spec = _spec("swap.onnx", network, ("face",), ("celeb_face", "celeb_mask", "driver_mask"), feeds)
    turned: list[Feed] = [{DFM_INPUT: np.ascontiguousarray(f["face"].transpose(0, 2, 3, 1))} for f in feeds]
    dfm = _spec("", DfmLayout(network), (DFM_INPUT,), DFM_OUTPUTS, turned)
    content = spelled_out(to_dfm(to_onnx(dfm, simplified=False))).SerializeToString()
    what, how = f"DeepFaceLab SAEHD df-ud, {shape.resolution} px, one frame", "DeepFaceLive: ONNX Runtime, .dfm"
    return Upstream("swap", what, (spec,), spec.outputs, feeds, how, partial(deepfacelive, content))


def _spec(file: str, network: Any, inputs: tuple[str, ...], pictures: Sequence[str], feeds: list[Feed]) -> NetworkSpec:
    kinds: dict[str, Kind] = dict.fromkeys(pictures, "picture")
    return NetworkSpec(file, network, inputs, kinds, lambda n: feeds[:n], frozenset(inputs))


FAMILIES: dict[str, Callable[[], Upstream]] = {"motion": first_order_motion, "lip-sync": wav2lip, "swap": deepfacelab}


def measure_families(
    families: Iterable[str],
    threads: Sequence[int],
    *,
    runs: int,
    seconds: float,
    int8: bool = False,
    say: Callable[[str], object],
) -> dict[str, Any]:
    """`{"families": […]}` for the report: one entry a family and number of threads. Raises ConfigError."""
    chosen = list(families) or list(FAMILIES)
    for name in chosen:
        if name not in FAMILIES:
            raise ConfigError(f"there is no family {name}: choose of {', '.join(FAMILIES)}")
    found = []
    for name in chosen:
        upstream = FAMILIES[name]()
        for count in threads:
            found.append(measure_family(upstream, count, runs=runs, seconds=seconds, int8=int8))
            say("\n".join(formatted(found[-1])))
    return {"families": found}


def measure_family(
    upstream: Upstream, threads: int, *, runs: int, seconds: float, int8: bool = False
) -> dict[str, Any]:
    """One family with one number of threads: upstream's way, and every way of ours."""
    models = [(spec, to_onnx(spec)) for spec in upstream.networks]
    contents = {"fp32": [model.SerializeToString() for _, model in models]}
    ways, not_measured = ways_here()
    if not int8:
        not_measured["int8"] = "asked for with --int8"
    else:
        try:
            made = [quantise(model, spec.samples(CALIBRATED_ON), None) for spec, model in models]
            contents["int8"] = [one.model.SerializeToString() for one in made]
        except ModelError as error:
            not_measured["int8"] = str(error)
    runners = [upstream.theirs(threads)]
    facts: list[dict[str, Any]] = [{"title": f"upstream ({upstream.how})", "upstream": True, "precision": "fp32"}]
    with ExitStack() as opened:
        for kind, way in [(kind, way) for kind in contents for way in ways]:
            if kind == "int8" and way.precision != "fp32":
                continue
            how: dict[str, Any] = {"provider": way.provider, "precision": way.precision, "threads": threads}
            try:
                sessions = [opened.enter_context(closing(open_session(file, **how))) for file in contents[kind]]
            except ModelError as error:
                not_measured[f"{way.title} {kind}"] = str(error)
                continue
            precision = kind if kind == "int8" else sessions[-1].precision
            runners.append(upstream.ours(sessions))
            facts.append({"title": f"{way.provider} {precision}", "upstream": False, "precision": precision})
        turns = {str(n): partial(runner.run, upstream.feeds[0]) for n, runner in enumerate(runners)}
        times = list(take_turns(turns, runs, warm_up=1, seconds=seconds).values())
        for entry, own, runner in zip(facts, times, runners, strict=True):
            difference = compare(runners[0], runner, upstream.feeds, upstream.outputs).facts()
            entry |= {**own.figures(), "times_as_fast": speedup(times[0], own), "difference": difference}
    family = {"family": upstream.family, "what": upstream.what, "threads": threads, "results": facts}
    return {**family, "not_measured": not_measured, "targets": judge(upstream.family, facts)}


def judge(family: str, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was promised, and the best that any way of ours reached."""
    found = []
    for wanted, precisions in TARGETS[family]:
        ours = [r for r in results if not r["upstream"] and r["precision"] in precisions]
        best = max(ours, key=lambda r: r["times_as_fast"]["in_rounds"], default=None)
        reached = best["times_as_fast"]["in_rounds"] if best else None
        what = " or ".join(precisions)
        if (family, wanted) in ON_AMX and "amx_bf16" not in cpu_flags():
            what += " (promised for a CPU with AMX, which this is not)"
        line = {"what": what, "wanted": wanted, "reached": reached, "by": best["title"] if best else "nothing"}
        found.append({**line, "met": reached is not None and reached >= wanted})
    return found


def formatted(family: dict[str, Any]) -> list[str]:
    """One family's contest in columns, with its verdict."""
    title = f"{family['family']}: {family['what']}, threads {family['threads']}; {family['results'][0]['runs']} rounds"
    missing = [f"  not measured: {name}: {why}" for name, why in family["not_measured"].items()]
    judged = [
        f"  {'met' if target['met'] else 'missed'}: {target['what']}: {target['wanted']:g} times wanted, "
        f"{number(target['reached'], 2)} reached ({target['by']})"
        for target in family["targets"]
    ]
    return [*table(title, family["results"]), *missing, *judged]


def round_and_round(frames: Sequence[Frame]) -> Iterator[Frame]:
    """The frames forwards and backwards for ever, 30 a second: nothing jumps, and the tracker never starts anew."""
    for seq, frame in enumerate(cycle([*frames, *frames[-2:0:-1]])):
        yield Frame(frame.pixels, seq, now_ns(), seq / 30.0)


def whole_frame(
    config: RunConfig,
    *,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    contest: Callable[[], Upstream] = first_order_motion,
) -> dict[str, Any]:
    """Our whole frame (face found and read, avatar moved, laid into its picture) beside upstream's network alone.

    In turns in this process. Raises MasqueradeError.
    """
    with ExitStack() as opened:
        model = open_motion_model(load_bundle(config.model or ""), provider=config.provider, precision=config.precision)
        avatars = open_avatars(config.avatar, with_face=model.needs_face)
        effect = opened.enter_context(closing(ReenactmentEffect(model, avatars)))
        tracker = opened.enter_context(closing(open_tracker(config)))
        source = opened.enter_context(closing(open_source(config.source, size=config.size, pace="all")))
        settings = config.settings()
        frames = list(frames_of(source, FRAMES))
        if len(frames) < FRAMES:
            raise ConfigError(f"{source.name} has {len(frames)} frames, {FRAMES} are needed: give a longer source")
        engine, shown, missed = Engine(tracker, effect, lambda: settings, now_ns), round_and_round(frames), 0

        def ours() -> None:
            nonlocal missed
            result = engine(next(shown))
            if result.error is not None:
                raise result.error
            missed += result.pixels is None

        for _ in range(2 * FRAMES):
            ours()  # the neutral pose is found, and everything warm
        upstream = contest()
        theirs = partial(upstream.theirs(torch.get_num_threads()).run, upstream.feeds[0])
        times = take_turns({"upstream": theirs, "ours": ours}, rounds, warm_up=1, seconds=seconds)
        on = report(effect.sessions)
        ran = {"ran_on": on.provider, "precision": on.precision, "without_a_picture": missed}
    ratio = speedup(times["upstream"], times["ours"])
    return {
        "what": f"{upstream.what}, eager PyTorch fp32, source encoded again; ours: the whole frame",
        "torch_threads": torch.get_num_threads(),
        "upstream": times["upstream"].figures(),
        "ours": {**times["ours"].figures(), **ran},
        "times_as_fast": ratio,
        "wanted": WHOLE_FRAME,
        "met": ratio["in_rounds"] is not None and ratio["in_rounds"] >= WHOLE_FRAME,
    }


def spelled_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph as DeepFaceLab writes it: biases and depth-to-space as separate operators. Same numbers."""
    nodes = []
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    shapes = {v.name: [side.dim_value for side in v.type.tensor_type.shape.dim] for v in inferred}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}

    def constant(value: Any, name: str) -> str:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    for count, node in enumerate(model.graph.node):
        out = node.output[0]
        if node.op_type == "Conv" and len(node.input) == 3:
            bias = node.input.pop()
            node.output[0] = f"{out}/plain"
            spread = constant(numpy_helper.to_array(stored[bias]).reshape(1, -1, 1, 1), f"{bias}/{count}")
            nodes += [node, helper.make_node("Add", [f"{out}/plain", spread], [out])]
        elif node.op_type == "DepthToSpace":
            batch, channels, height, width = shapes[node.input[0]]
            depth_last = any(a.name == "mode" and a.s == b"CRD" for a in node.attribute)
            cells = [channels // 4, 2, 2] if depth_last else [2, 2, channels // 4]
            order = [0, 1, 4, 2, 5, 3] if depth_last else [0, 3, 4, 1, 5, 2]
            split = constant(np.array([batch, *cells, height, width]), f"d2s/{count}/cells")
            whole = constant(np.array([batch, channels // 4, height * 2, width * 2]), f"d2s/{count}/whole")
            nodes += [
                helper.make_node("Reshape", [node.input[0], split], [f"{out}/cells"]),
                helper.make_node("Transpose", [f"{out}/cells"], [f"{out}/turned"], perm=order),
                helper.make_node("Reshape", [f"{out}/turned", whole], [out]),
            ]
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _seed(network: Any) -> None:
    """He's initialisation, seeded: activations keep their size through any number of layers."""
    generator = torch.Generator().manual_seed(SEED)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, a=0.1, generator=generator)
            nn.init.zeros_(module.bias)


def _settle(network: Any, batch: tuple[Any, ...]) -> None:
    """Batch norms get the statistics of `batch`; then evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(*batch)
    network.eval()
