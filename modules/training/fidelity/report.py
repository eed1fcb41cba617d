"""What an evaluation found, as JSON and as tables of the model's card."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from modules.exceptions import TrainingError
from modules.training.fidelity.evaluation import CFG_SCALE, STEPS
from modules.training.fidelity.measures import Share

__all__ = ["fidelity_tables", "read_report", "renew_card", "write_report"]

_COLUMNS = ("concept", "concept, best five", "style", "background", "background, by rule", "colour")


def write_report(shares: Sequence[Share], model_hash: str, path: Path) -> None:
    """Write all shares and what they were measured with."""
    content = {
        "model": model_hash,
        "steps": STEPS,
        "cfg_scale": CFG_SCALE,
        "shares": [asdict(share) for share in shares],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_report(path: Path) -> tuple[str, list[Share]]:
    """Hash of the model, and the shares that :func:`write_report` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["model"], [Share(**share) for share in content["shares"]]


def fidelity_tables(shares: Sequence[Share], model_hash: str) -> str:
    """Markdown: a row for each group of pictures, a column for each respect; a list of all other shares."""
    groups = dict.fromkeys(share.group for share in shares if share.measure == "concept")
    known = {(share.group, share.measure): share for share in shares}
    origin = (
        f"Checkpoint with the hash `{model_hash}`, {STEPS} steps, CFG scale {CFG_SCALE:g}; in brackets the "
        "ends of the 95 % interval."
    )
    lines = [
        origin,
        "",
        "| pictures | number | " + " | ".join(_COLUMNS) + " |",
        "|---|--:|" + "---|" * len(_COLUMNS),
    ]
    for group in groups:
        cells = [_cell(known.get((group, column))) for column in _COLUMNS]
        lines.append(f"| {group} | {known[group, 'concept'].total} | {' | '.join(cells)} |")
    others = [share for share in shares if share.group not in groups or share.measure not in _COLUMNS]
    lines += ["", "| pictures | in which respect | right |", "|---|---|---|"]
    lines += [
        f"| {share.group} | {share.measure} | {share.right} of {share.total}: {_cell(share)} |"
        for share in others
    ]
    return "\n".join(lines)


def _cell(share: Share | None) -> str:
    if share is None or not share.total:
        return ""
    return f"{100 * share.right / share.total:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f})"


def renew_card(markdown: str, card: Path, recipe: str) -> None:
    """Replace the tables between the card's two marks for a recipe.

    Args:
        markdown: The tables.
        card: The page.
        recipe: Name of the recipe's file without its ending; the marks hold it.

    Raises:
        TrainingError: It cannot be read or has no marks.
    """
    opening, closing = f"<!-- fidelity of {recipe}: begin -->", f"<!-- fidelity of {recipe}: end -->"
    try:
        before, begin, rest = card.read_text(encoding="utf-8").partition(opening)
    except OSError as error:
        raise TrainingError(f"The card {card} cannot be read: {error}") from error
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise TrainingError(f"{card} has no place for the tables between {opening} and {closing}.")
    card.write_text(f"{before}{begin}\n{markdown}\n{end}{after}", encoding="utf-8")
