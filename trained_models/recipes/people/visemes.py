"""What the mouth does for each sound."""

PAIRED_MOUTH = ("mouthPress", "mouthUpperUp", "mouthLowerDown", "mouthStretch", "mouthSmile")


def _shape(**weights: float) -> dict[str, float]:
    out: dict[str, float] = {}
    for name, weight in weights.items():
        if name in PAIRED_MOUTH:
            out[name + "Left"] = out[name + "Right"] = weight
        else:
            out[name] = weight
    return out


VISEMES: dict[str, dict[str, float]] = {
    "sil": {},
    "PP": _shape(mouthPress=0.35, mouthRollLower=0.25, mouthRollUpper=0.2, mouthClose=0.0),
    "FF": _shape(mouthRollLower=0.55, mouthUpperUp=0.25, jawOpen=0.06),
    "TH": _shape(jawOpen=0.14, tongueOut=0.35, mouthLowerDown=0.2),
    "DD": _shape(jawOpen=0.14, mouthLowerDown=0.25, mouthUpperUp=0.1),
    "kk": _shape(jawOpen=0.18, mouthLowerDown=0.2),
    "CH": _shape(jawOpen=0.10, mouthFunnel=0.45, mouthShrugUpper=0.15),
    "SS": _shape(jawOpen=0.05, mouthStretch=0.3, mouthLowerDown=0.25, mouthUpperUp=0.15),
    "nn": _shape(jawOpen=0.12, mouthLowerDown=0.2),
    "RR": _shape(jawOpen=0.14, mouthFunnel=0.3, mouthPucker=0.2),
    "aa": _shape(jawOpen=0.52, mouthLowerDown=0.2, mouthUpperUp=0.15),
    "E": _shape(jawOpen=0.32, mouthStretch=0.25, mouthUpperUp=0.15, mouthLowerDown=0.25),
    "I": _shape(jawOpen=0.16, mouthSmile=0.25, mouthStretch=0.25, mouthLowerDown=0.25),
    "O": _shape(jawOpen=0.34, mouthFunnel=0.55, mouthPucker=0.15),
    "U": _shape(jawOpen=0.14, mouthPucker=0.75, mouthFunnel=0.2),
}
"""The fifteen visemes of the usual lip-sync sets, as weights of ARKit-style actions."""

DOMINANCE = {
    **{"PP": 1.6, "FF": 1.4, "U": 1.3, "O": 1.2, "CH": 1.2, "aa": 1.0, "E": 0.9, "I": 0.9},
    **{"SS": 1.0, "TH": 0.9, "DD": 0.55, "kk": 0.35, "nn": 0.5, "RR": 0.8, "sil": 0.8},
}
"""How strongly a sound insists on its shape against its neighbours."""

_SOUNDS = {
    "PP": "p b m",
    "FF": "f v",
    "TH": "θ ð T D",
    "CH": "ʃ ʒ tʃ dʒ S Z tS dZ",
    "SS": "s z",
    "nn": "n l ŋ N ɫ əl L",
    "RR": "r ɹ ɚ ɝ 3 ɜ R r-",
    "DD": "t d ɾ t# ɐ#",
    "kk": "k ɡ g h x q ʔ C",
    "U": "u ʊ w U uː y",
    "O": "o ɔ oʊ ɒ O 0 oː aU OI",
    "I": "i ɪ iː j I e eɪ i:",
    "E": "ɛ æ E a# eI eə A@",
    "aa": "a ɑ ʌ ə ɐ aɪ aʊ A aI V @ I2 3:",
}
"""espeak-ng's names of sounds, in its own notation and in IPA."""


def viseme(sound: str) -> str:
    """The mouth shape of a sound; stress marks and pauses are understood, unknown sounds guessed."""
    sound = sound.replace("ˈ", "").replace("ˌ", "").replace("ː", "").strip("'_,:;|?*#%=~ ")
    if not sound:
        return "sil"
    for wanted in (sound, sound[0]):
        for name, sounds in _SOUNDS.items():
            if wanted in sounds.split():
                return name
    return "aa" if sound[0] in "aɑʌəɐ" else "DD"
