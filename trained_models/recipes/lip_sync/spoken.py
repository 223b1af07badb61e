"""Somebody says something: espeak-ng's voices in many languages, as mel frames and the mouth that goes with each."""

from dataclasses import dataclass

import numpy as np

from realtime.audio.mel import HOP, RATE_HZ, Resampler, mel_frames
from realtime.audio.source import SPEECH_HZ
from trained_models.recipes.lip_sync.network import CODE, OPENERS, ROUNDERS, codes_of
from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.speech import Speech, mouth_curves, speak

LANGUAGES = (
    *("en-us", "en-gb", "en-gb-scotland", "de", "fr", "es", "es-419", "it", "pt-br", "nl", "pl", "cs", "sv", "da"),
    *("fi", "hu", "ro", "tr", "id", "sw", "el", "hr", "et", "ca"),
)
VARIANTS = (
    *("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+m8", "+f1", "+f2", "+f3", "+f4", "+f5", "+croak"),
    *("+klatt", "+klatt2", "+klatt4", "+anika", "+david", "+linda", "+steph", "+john", "+belinda", "+paul", "+whisper"),
)
HELD_OUT_LANGUAGES = ("en-gb-x-rp", "nb", "sk")
HELD_OUT_VARIANTS = ("+adam", "+alicia", "+grandpa", "+michel")  # never trained on

TEXTS = (
    "My mother bought a big brown bag of apples at the market, but Peter forgot to pay for them.",
    "Who knows where the wind will blow tomorrow? Maybe we should move the boat before noon.",
    "Five of the seven voices were very loud, and father found the others far too soft.",
    "Please pick up the phone when Bob and Pam come by, will you? Oh, thank you so much.",
    "She sells small sea shells; he chose cheap cheese and fish. What a strange shop!",
    "I would rather read a long red letter than walk around the lake in the rain.",
    "Yes. No. Maybe. Hm, let me think about it. Okay, that sounds like a good plan to me.",
    "Ein Mann mit blauen Augen baut am Abend ein Boot. Papa, warum fährt der Bus so früh?",
    "Über sieben Brücken musst du gehen, und bitte bring mir morgen Brot, Milch und Butter mit.",
    "Le petit bateau bleu part pour une belle promenade. Bonjour, comment ça va ce matin?",
    "Ma mère aime beaucoup les pommes, mais mon père préfère boire un peu de bon vin.",
    "El perro de mi abuela duerme en la puerta. ¿Puedes abrir la ventana, por favor?",
    "Buenas tardes, me llamo Pablo y vivo muy cerca del mercado viejo.",
    "Il mio amico beve un buon bicchiere di vino. Domani andiamo al mare con la famiglia.",
    "Bom dia, meu amigo! A menina bonita mora numa casa amarela perto da praia.",
    "Wij bouwen samen een mooi huis met veel bomen. Mama, waar is mijn fiets?",
    "Proszę, podaj mi wodę. Moja mama kupiła bardzo dobry chleb i białe mleko.",
    "Min mamma bor i en vit villa vid havet. Får jag be om en kopp kaffe, tack?",
    "Bir varmış bir yokmuş, babam bana büyük bir bavul verdi.",
    "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen.",
    "Alpha, bravo, charlie, delta, echo, foxtrot, golf, hotel, india, juliet, kilo, lima, mike.",
    "Wow, that movie made me laugh so hard! Everybody in the room began to move about.",
    "The old grey goose saw a huge blue moon above the smooth pool, and flew home through fog.",
    "Stop that at once, put both bags back, and keep your thumbs off the paper map.",
    "Is it true that you had to be up by six? Poor you! Have a cup of warm coffee.",
    "Good evening and welcome to the show; our first guest has come from a very far place.",
)
HELD_OUT_TEXTS = (
    "People often wonder why the moon appears so big above the horizon, even when the map says otherwise.",
    "Pardon me, may I borrow a pen? My boss wants both forms back before half past five.",
    "For many years we have hoped for a machine that moves its lips as people do.",
)

OPEN_DB, LEAST, MOST = 0.045, 0.4, 1.35
"""How much wider a mouth opens for each decibel of loudness above the speaker's usual, and the limits of that."""
SHOWN = 1
"""Mel frames from a picture's time to the middle of the time that it is seen, about: curves are of frames' middles."""
WIDER, ROUNDED = 1.25, 0.75  # the tables of visemes are those of a quiet speaker with very round lips


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """`mel` (80, n) in -4..4; `codes` (n, 12): the mouth of a picture that is shown for 40 ms from each frame on."""

    mel: Floats
    codes: Floats
    voice: str


def say(text: str, voice: str, words_per_minute: int, pitch: int, names: list[str], lively: float = 1.0) -> Spoken:
    """Speak; `names`: the topology's actions; `lively`: how wide the mouth moves. Raises OSError without espeak-ng."""
    speech = speak(text, voice, words_per_minute, pitch)
    samples = _at_speech_rate(speech)
    mel = mel_frames(samples)
    count = mel.shape[1]
    # `mouth_curves` answers for the middle of its frames.
    curves = codes_of(mouth_curves(speech.sounds, count / RATE_HZ + 0.1, RATE_HZ, names), names)
    codes = curves[SHOWN : SHOWN + count] * lively
    codes[:, list(OPENERS)] *= WIDER * _effort(samples, count)[:, None]
    codes[:, list(ROUNDERS)] *= ROUNDED
    return Spoken(mel, np.clip(codes, 0, 1).astype(np.float32), voice)


def wave(text: str, voice: str, words_per_minute: int, pitch: int) -> Floats:
    """Only the sound of `say`, (n,) at 16 kHz."""
    return _at_speech_rate(speak(text, voice, words_per_minute, pitch))


def _at_speech_rate(speech: Speech) -> Floats:
    to_speech = Resampler(speech.rate_hz, SPEECH_HZ)
    samples = to_speech(speech.samples.astype(np.float32) / np.float32(32768))
    return np.concatenate([samples, to_speech.finish()])


def _effort(samples: Floats, count: int) -> Floats:
    """(count,) how widely the mouth opens for its loudness: who speaks up, opens up (Schulman 1989)."""
    hops = np.zeros(count)
    for k, part in enumerate(np.array_split(samples, range(HOP, len(samples), HOP))[:count]):
        hops[k] = float((part**2).mean()) if len(part) else 0.0
    taper = np.hanning(19)[1:-1]  # 100 ms at half of its height
    level = 10 * np.log10(np.convolve(hops, taper / taper.sum(), "same") + 1e-7)
    usual = np.percentile(level, 70)
    return np.asarray(np.clip(1 + OPEN_DB * (level - usual), LEAST, MOST))


def any_voice(rng: np.random.Generator, *, held_out: bool = False) -> tuple[str, str, int, int]:
    """(text, voice, words per minute, pitch) by chance."""
    texts = HELD_OUT_TEXTS if held_out else TEXTS
    languages, variants = (HELD_OUT_LANGUAGES, HELD_OUT_VARIANTS) if held_out else (LANGUAGES, VARIANTS)
    # Half of the voices read English: other languages' sounds, but every sound is some mouth's.
    language = str(rng.choice(languages)) if rng.random() < 0.7 else "en-us" if not held_out else "en-gb-x-rp"
    return (
        str(rng.choice(texts)),
        language + str(rng.choice(variants)),
        int(rng.uniform(115, 230)),
        int(np.clip(rng.normal(48, 20), 5, 95)),
    )


def hours(seed: int, count: int, names: list[str], *, held_out: bool = False) -> list[Spoken]:
    """`count` sayings by seed, each with silence around it as a quiet line has it."""
    out = []
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        said = say(*any_voice(rng, held_out=held_out), names)
        if said.mel.shape[1] < 60:
            continue
        pads = rng.integers(8, 50, 2)
        mel = np.pad(said.mel, ((0, 0), (int(pads[0]), int(pads[1]))), constant_values=-4.0)
        codes = np.pad(said.codes, ((int(pads[0]), int(pads[1])), (0, 0)))
        out.append(Spoken(mel.astype(np.float32), codes.astype(np.float32), said.voice))
    assert not out or out[0].codes.shape[1] == len(CODE)
    return out
