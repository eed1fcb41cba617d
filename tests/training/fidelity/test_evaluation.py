from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from modules.exceptions import TrainingError
from modules.training.compositions import Composition
from modules.training.concepts import Concept
from modules.training.fidelity.evaluation import FidelityArtist, judge_pictures
from modules.training.fidelity.judge import Judge, Labels
from modules.training.fidelity.measures import Share
from modules.training.fidelity.prompts import HELD_OUT_COLOUR, HELD_OUT_STYLE, SEEN, FidelityPrompt
from modules.training.fidelity.report import fidelity_tables, read_report, renew_card, write_report
from modules.training.palette import COLOURS

LABELS = Labels.of((Concept("apple", "red apple"), Concept("ghost", "ghost")))
ROOT = Path(__file__).parents[3]
EMBEDDED = ROOT / "models" / "Stable-diffusion" / "embedded.safetensors"


@dataclass
class _Oracle:
    """Says what it is told to, picture by picture."""

    said: list[tuple[str, str, str, str]]
    labels: Labels = field(default=LABELS)

    def ranks(self, pixels: Tensor) -> dict[str, Tensor]:
        found = {}
        for column, (aspect, names) in enumerate(LABELS.names.items()):
            first = [names.index(row[column]) for row in self.said]
            rows = [[number, *(other for other in range(len(names)) if other != number)] for number in first]
            found[aspect] = torch.tensor(rows)
        return found


def _plain(background: str) -> Image.Image:
    return Image.new("RGB", (64, 64), COLOURS[background])


def _shares() -> dict[tuple[str, str], Share]:
    prompts = [
        FidelityPrompt(SEEN, "an apple", Composition("apple", "cartoon", 0), 1),
        FidelityPrompt(SEEN, "a ghost", Composition("ghost", "flat", 1, background="blue"), 2),
        FidelityPrompt(HELD_OUT_COLOUR, "a green ghost", Composition("ghost", "flat", 1, colour="green"), 3),
        FidelityPrompt(HELD_OUT_COLOUR, "a red ghost", Composition("ghost", "flat", 1, colour="red"), 4),
    ]
    judge = _Oracle(
        [
            ("apple", "cartoon", "white", "red"),
            ("apple", "flat", "blue", "many"),
            ("ghost", "flat", "white", "green"),
            ("ghost", "3d", "white", "blue"),
        ]
    )
    pictures = [_plain("white"), _plain("red"), _plain("white"), _plain("white")]
    found = judge_pictures(judge, prompts, pictures)  # type: ignore[arg-type]
    return {(share.group, share.measure): share for share in found}


def test_pictures_are_counted_in_every_respect_that_was_asked_for() -> None:
    shares = _shares()
    counted = {key: (share.right, share.total) for key, share in shares.items()}
    assert counted[SEEN, "concept"] == (1, 2)
    assert counted[SEEN, "background"] == (2, 2)
    assert counted[SEEN, "background, by rule"] == (1, 2)
    assert counted[HELD_OUT_COLOUR, "colour"] == (1, 2)
    assert counted[HELD_OUT_COLOUR, "concept and colour"] == (1, 2)
    assert counted[HELD_OUT_COLOUR, "style"] == (1, 2)
    assert counted["all", "concept"] == (3, 4)
    assert counted["cartoon style", "concept"] == (1, 1)
    assert (SEEN, "colour") not in counted


def test_held_out_styles_are_counted_apart_from_all_others() -> None:
    prompts = [
        FidelityPrompt(SEEN, "an apple, 3d style", Composition("apple", "3d", 0), 1),
        FidelityPrompt(HELD_OUT_STYLE, "a ghost, 3d style", Composition("ghost", "3d", 1), 2),
        FidelityPrompt(HELD_OUT_STYLE, "a ghost, flat style", Composition("ghost", "flat", 2), 3),
    ]
    judge = _Oracle(
        [
            ("apple", "3d", "white", "red"),
            ("ghost", "3d", "white", "many"),
            ("ghost", "3d", "white", "many"),
        ]
    )
    found = judge_pictures(judge, prompts, [_plain("white")] * 3)  # type: ignore[arg-type]
    counted = {(share.group, share.measure): (share.right, share.total) for share in found}
    assert counted[HELD_OUT_STYLE, "concept"] == (2, 2)
    assert counted[HELD_OUT_STYLE, "style"] == (1, 2)
    assert counted[HELD_OUT_STYLE, "concept and style"] == (1, 2)
    assert counted["held-out 3d style", "style"] == (1, 1)
    assert counted["held-out flat style", "style"] == (0, 1)
    assert counted["3d style", "concept"] == (1, 1)
    assert counted["all", "concept"] == (1, 1)


def test_the_report_can_be_read_again_and_its_tables_stand_between_the_marks(tmp_path: Path) -> None:
    shares = list(_shares().values())
    write_report(shares, "abc123", tmp_path / "evaluation.json")
    model_hash, again = read_report(tmp_path / "evaluation.json")
    assert (model_hash, again) == ("abc123", shares)
    card = tmp_path / "card.md"
    card.write_text(
        "# Card\n<!-- fidelity of embedded: begin -->\nold\n<!-- fidelity of embedded: end -->\nrest\n",
        encoding="utf-8",
    )
    renew_card(fidelity_tables(again, model_hash), card, "embedded")
    text = card.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.endswith("<!-- fidelity of embedded: end -->\nrest\n")
    assert "| seen | 2 | 50 % (9 to 91)" in text


def test_groups_without_a_concept_of_their_own_are_listed_below_the_table() -> None:
    table = fidelity_tables([Share.of("two things", "background, by rule", [True, False])], "abc123")
    assert "| two things | background, by rule | 1 of 2: 50 % (9 to 91) |" in table


def test_a_card_keeps_the_tables_of_other_recipes(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    marks = "<!-- fidelity of {0}: begin -->\n{0}\n<!-- fidelity of {0}: end -->\n"
    card.write_text(marks.format("one") + marks.format("other"), encoding="utf-8")
    renew_card("new", card, "other")
    assert card.read_text(encoding="utf-8") == marks.format("one") + marks.format("other").replace(
        "\nother\n", "\nnew\n"
    )


def test_a_card_without_marks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(TrainingError, match="no place for the tables"):
        renew_card("table", tmp_path / "card.md", "embedded")


@pytest.mark.parametrize("recipe", ["embedded", "embedded-held-out"])
def test_the_shipped_card_has_a_place_for_the_tables(recipe: str) -> None:
    card = (ROOT / "docs" / "embedded-model.md").read_text(encoding="utf-8")
    assert f"<!-- fidelity of {recipe}: begin -->" in card
    assert (ROOT / "configs" / f"{recipe}.yaml").is_file()


def test_a_missing_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="There is no checkpoint"):
        FidelityArtist(tmp_path / "none.safetensors", tmp_path, side=64)


def test_a_picture_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = FidelityPrompt(SEEN, "an apple", Composition("apple", "cartoon", 0), 1)
    artist = FidelityArtist(EMBEDDED, tmp_path, side=64)
    first = artist.draw([prompt])[0]
    assert first.size == (64, 64)
    others = FidelityArtist(EMBEDDED, tmp_path, side=64)
    monkeypatch.setattr(others, "_drawn", None)  # it would fail if it drew again
    assert np.array_equal(np.asarray(others.draw([prompt])[0]), np.asarray(first))


def test_the_judge_can_be_asked_about_pictures_of_any_size() -> None:
    torch.manual_seed(0)
    prompt = FidelityPrompt(SEEN, "an apple", Composition("apple", "cartoon", 0), 1)
    shares = judge_pictures(Judge(LABELS), [prompt], [_plain("white").resize((256, 256))])
    assert {share.group for share in shares} == {SEEN, "all", "cartoon style"}
