"""The quality figures as a person reads them."""

from typing import Any

from benchmarks.agreement import MOVES, moving


def told(clip: dict[str, Any]) -> list[str]:
    """One clip's figures, a line each."""
    seen, pose, flicker, still = clip["coverage"], clip["pose_deg"], clip["flicker"], clip["steadiness"]
    tremble, acting, lids = clip["jitter"], clip["expression"], clip["blinks"]
    lines = [
        f"{clip['clip']}: {clip['frames']} frames, {seen['visible']} with a face, {seen['replaced']} of them "
        f"replaced ({_n(seen['hidden'])} of the face's inside hidden)",
    ]
    if clip["failed"]:
        lines.append(f"  {clip['failed']} frames failed, the first of them: {clip['first_failure']}")
    lines.append(f"  {'channel':<18} {'std':>6} {'r':>7} {'gain':>6}   {'ceiling r':>9} {'gain':>6}")
    for name in moving(clip["blendshapes"]):
        one, top = clip["blendshapes"][name], clip["ceiling"]["blendshapes"].get(name, {})
        lines.append(
            f"  {name:<18} {_n(one['std']):>6} {_n(one['r']):>7} {_n(one['gain']):>6}   "
            f"{_n(top.get('r')):>9} {_n(top.get('gain')):>6}"
        )
    if clip["weak"]:
        weak = ", ".join(f"{name} {std}" for name, std in clip["weak"].items())
        lines.append(f"  hardly moved by the driver (std under {MOVES}): {weak}")
    return [
        *lines,
        f"  {acting['moving']} moving: mean r {_n(acting['mean_r'])} (ceiling {_n(acting['ceiling_mean_r'])}, lowest "
        f"{_n(acting['lowest_r'])}), gain {_n(acting['lowest_gain'])} to {_n(acting['highest_gain'])}",
        f"  blinks: driver {lids['driver']}, output {lids['output']}, {lids['both']} together",
        f"  pose error {_n(pose['mean'])}° (p95 {_n(pose['p95'])}°; {_n(pose['mean_without_constant'])}° "
        f"about a constant {_n(pose['constant'])}°); ceiling {_n(clip['ceiling']['pose_deg']['mean'])}°",
        f"  jitter {_n(tremble['output']['rms_px'])} px, driver {_n(tremble['driver']['rms_px'])} px; "
        f"flicker {_n(flicker['ratio'])} of the driver's, ceiling {_n(flicker['ceiling_ratio'])}",
        f"  steadiness {_n(still['output']['mean'])} (lowest {_n(still['output']['p05'])}), "
        f"driver {_n(still['driver']['mean'])}; outside the mask {clip['outside']['beyond_mask_max']} levels",
        *(f"  {line(clip.get(key))}" for key, line in _FURTHER.items() if key in clip),
    ]


def _landmarks(found: dict[str, Any]) -> str:
    return (
        f"landmarks, {found['reader']}: {_n(found['nme'])} % of the eyes' distance, "
        f"{_n(found['nme_without_constant'])} % without the shapes' constant; ceiling {_n(found['ceiling_nme'])} %, "
        f"driver read again {_n(found['reread_nme'])} %; missed {_n(found['missed'])}"
    )


def _identity(found: dict[str, Any]) -> str:
    top, far = found["top1"], found["distance"]
    return (
        f"of {found['among']} people: worn {_n(top['worn'])}, driver {_n(top['driver'])}, other {_n(top['other'])} "
        f"in {found['frames']} frames; distance to worn {_n(far['output_to_worn'])}, to driver "
        f"{_n(far['output_to_driver'])} (driver to worn {_n(far['driver_to_worn'])}); control "
        f"{_n(found['driver_as_driver'])}"
    )


def _mask(found: dict[str, Any]) -> str:
    return (
        f"mask IoU {_n(found['iou'])} (lowest {_n(found['iou_p05'])}), spilled {_n(found['spilled'])}, "
        f"left out {_n(found['left_out'])}; driver's mask alone {_n(found['iou_driver'])}, "
        f"what was taken over {_n(found['iou_taken_over'])}"
    )


def _seam(found: dict[str, Any]) -> str:
    return (
        f"seam {_n(found['levels_per_px'])} levels/px, {_n(found['of_driver'])} of the driver's own gradient; "
        f"ceiling {_n(found['ceiling_levels_per_px'])}"
    )


def _frozen(found: dict[str, Any]) -> str:
    return (
        f"frozen input: {_n(found['output_std'])} levels out for {_n(found['input_std'])} in "
        f"(worst hundredth {_n(found['p99_over_noise'])} of the noise)"
    )


def _or_why(key: str, line: Any) -> Any:
    return lambda found: f"{key}: {found['missing']}" if "missing" in found else line(found)


_FURTHER = {
    key: _or_why(key, line)
    for key, line in {
        "landmarks": _landmarks,
        "identity": _identity,
        "mask": _mask,
        "seam": _seam,
        "frozen": _frozen,
    }.items()
}


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
