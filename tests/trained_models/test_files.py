"""Facts on a card: once, in their tables."""

from pathlib import Path

from trained_models.training.files import add_to_bundle


def test_facts_are_put_on_the_card_once(tmp_path: Path) -> None:
    card = tmp_path / "model.toml"
    card.write_text('schema = 1\n\n[measured]\nexport = "exact"\nsilence = "loud"\n', encoding="utf-8")
    add_to_bundle(tmp_path, {}, {"measured": {"silence": "still"}})
    add_to_bundle(tmp_path, {}, {"measured": {"silence": "quite still"}})
    assert card.read_text(encoding="utf-8") == 'schema = 1\n\n[measured]\nexport = "exact"\nsilence = "quite still"\n'


def test_facts_take_their_place_in_their_table(tmp_path: Path) -> None:
    card = tmp_path / "model.toml"
    card.write_text(
        'schema = 1\n\n[files]\n"a.onnx" = "x"\n\n[training]\nsteps = 3\n\n[measured]\nwork = "1"\n', encoding="utf-8"
    )
    facts = {"files": {"b.onnx": "y"}, "output": {"fine_size": 256}, "measured": {"work": "2"}}
    add_to_bundle(tmp_path, {}, facts)
    made = card.read_text(encoding="utf-8")
    assert made == (
        'schema = 1\n\n[files]\n"a.onnx" = "x"\n"b.onnx" = "y"\n\n[output]\nfine_size = 256\n\n'
        '[training]\nsteps = 3\n\n[measured]\nwork = "2"\n'
    )
    add_to_bundle(tmp_path, {}, {"output": {"fine_size": 256}})
    assert card.read_text(encoding="utf-8") == made
