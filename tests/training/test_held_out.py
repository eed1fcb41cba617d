from modules.training.held_out import is_pair_held_out, is_style_held_out, trained_drawings

NAMES = [f"thing {number}" for number in range(400)]


def test_about_a_share_of_the_drawings_is_kept_apart_and_never_a_cartoon() -> None:
    drawings = {(name, style): 0 for name in NAMES for style in ("cartoon", "flat", "3d")}
    left = trained_drawings(drawings, 0.1)
    assert {name for name, style in left if style == "cartoon"} == set(NAMES)
    assert 0.07 < 1 - (len(left) - len(NAMES)) / (2 * len(NAMES)) < 0.13
    assert all(is_style_held_out(*pair, 0.1) == (pair not in left) for pair in drawings)


def test_nothing_is_kept_apart_unless_it_is_asked_for() -> None:
    drawings = {(name, "flat"): 0 for name in NAMES}
    assert trained_drawings(drawings, 0) == drawings


def test_a_pair_is_kept_apart_whichever_thing_is_named_first() -> None:
    pairs = [(one, other) for one in NAMES[:40] for other in NAMES[:40] if one != other]
    held = {pair for pair in pairs if is_pair_held_out(*pair)}
    assert held == {(other, one) for one, other in held}
    assert 0.05 < len(held) / len(pairs) < 0.15
