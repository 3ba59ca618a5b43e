"""Prints the tables of a model card: what the export measured, and the learning curve.

    python export.py … --figures figures.json; python card.py --figures figures.json [--log run/log.jsonl]
"""

import argparse
import json
from pathlib import Path

_POINTS = 10


def _percent(value: float) -> str:
    return "–" if value != value else f"{value:.1%}".replace("%", " %")


def measured(figures: list[dict]) -> list[str]:
    """A row for each set."""
    rows = ["| | rows | accuracy | recall of *none* | calibration error |", "|---|---|---|---|---|"]
    for figure in figures:
        shares = [_percent(figure[name]) for name in ("accuracy", "none_recall", "calibration_error")]
        rows.append(f"| {figure['name']} | {figure['rows']:,} | {' | '.join(shares)} |")
    return rows


def curve(log: list[dict]) -> list[str]:
    """Mean loss and accuracy on the training draws over each tenth of the run."""
    rows = ["| up to step | loss | accuracy on training draws |", "|---|---|---|"]
    size = max(1, -(-len(log) // _POINTS))
    for start in range(0, len(log), size):
        part = log[start : start + size]
        loss, accuracy = (sum(entry[name] for entry in part) / len(part) for name in ("loss", "accuracy"))
        rows.append(f"| {part[-1]['step']} | {loss:.3f} | {_percent(accuracy)} |")
    return rows


def main() -> None:
    """Prints Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    print("\n".join(measured(json.loads(given.figures.read_text(encoding="utf-8")))))
    if given.log:
        log = [json.loads(line) for line in given.log.read_text(encoding="utf-8").splitlines()]
        print("\n" + "\n".join(curve(log)))


if __name__ == "__main__":
    main()
