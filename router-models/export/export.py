"""Exports a tuned encoder to the folder that the program loads.

    python export.py --base e5-small-q4.bin --tokenizer tokenizer.json --checkpoint router.safetensors \
        --data routing-data --out ../default

The README beside this folder says where the base and the tokenizer come from. The result is deterministic.
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

import calibrate
import golden
import graph
import outliers
import pieces
import weights
import window
from encoder import EXAMPLES_WEIGHT, Encoder

FORMAT = 1
FILES = ("encoder.onnx", "words.bin", "pieces.bin", "tokenizer.json", "golden.json")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("base", "tokenizer", "checkpoint", "data", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--figures", type=Path, help="where to write what was measured, for the model card")
    return parser.parse_args()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(
    folder: Path, scale: float, calibration: calibrate.Calibration, with_examples: calibrate.Calibration
) -> dict:
    return {
        "format": FORMAT,
        "name": "router-e5-12l",
        "token_rule": window.VERSION,
        "window_tokens": window.WINDOW,
        "task_tokens": window.TASK,
        "width": weights.WIDTH,
        "scale": round(scale, 6),
        "examples_weight": EXAMPLES_WEIGHT,
        "none_offset": calibration.offset,
        "temperature": calibration.temperature,
        "examples_none_offset": with_examples.offset,
        "examples_temperature": with_examples.temperature,
        "threshold": calibration.threshold,
        "files": {name: {"bytes": (folder / name).stat().st_size, "sha256": _digest(folder / name)} for name in FILES},
    }


def _figures(name: str, over: list[calibrate.Sample], at: calibrate.Calibration) -> dict:
    found = {
        "name": name,
        "rows": len(over),
        "accuracy": calibrate.accuracy(over, at),
        "none_recall": calibrate.none_recall(over, at),
        "calibration_error": calibrate.calibration_error(over, at),
    }
    print(
        "{name}: {rows} rows, accuracy {accuracy:.1%}, recall of none {none_recall:.1%}, "
        "calibration error {calibration_error:.1%}".format_map(found)
    )
    return found


def _families(over: list[calibrate.Sample]) -> Iterable[tuple[str, list[calibrate.Sample]]]:
    for family in sorted({sample.family for sample in over}):
        yield family, [sample for sample in over if sample.family == family]


def main() -> None:
    """Exports, calibrates, and prints what was measured."""
    given = _arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    encode = window.load_tokenizer(given.tokenizer)
    parameters = weights.read_checkpoint(given.checkpoint)
    scale = float(np.exp(parameters["log_s"][0]))
    words = weights.read_words(given.base).first(pieces.write(given.tokenizer, given.out))
    rows = calibrate.read(given.data / "dev.jsonl")
    unseen = [row for row in rows if row["family"] in calibrate.UNSEEN]
    with tempfile.TemporaryDirectory() as folder:
        graph.save(Path(folder), parameters, words)
        spared = outliers.find(Path(folder) / graph.GRAPH_FILE, parameters, rows, encode)
        exact = calibrate.samples(unseen, Encoder(Path(folder) / graph.GRAPH_FILE, encode, scale))
    graph.save(given.out, parameters, words, spared)
    encoder = Encoder(given.out / graph.GRAPH_FILE, encode, scale)
    over = calibrate.samples(rows, encoder)
    found = [sample for sample in over if sample.family in calibrate.UNSEEN]
    calibration = calibrate.fit(found)
    with_examples = calibrate.samples(calibrate.read(given.data / "dev_ex.jsonl"), encoder)
    at_examples = replace(calibrate.fit(with_examples), threshold=calibration.threshold)
    golden.write(given.out / "golden.json", encoder, encode)
    manifest = json.dumps(_manifest(given.out, scale, calibration, at_examples), indent=2)
    (given.out / "model.json").write_text(manifest + "\n", encoding="utf-8")
    print(calibration, "with examples:", at_examples)
    figures = [
        _figures("unseen tasks", found, calibration),
        _figures("unseen tasks in float32, at its own calibration", exact, calibrate.fit(exact)),
        *(_figures(family, part, calibration) for family, part in _families(over)),
        _figures("with examples", with_examples, at_examples),
    ]
    if given.figures:
        given.figures.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
