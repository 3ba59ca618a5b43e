"""Runs every step on a fixture, twice where it must come out the same. Takes seconds and needs no network.

    python smoke.py
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import fixture

_HERE = Path(__file__).resolve().parent
_STEPS = 6


def _run(script: Path, *arguments: object) -> str:
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"{script.name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _train(world: Path, out: Path, steps: int) -> bytes:
    options = ("--steps", steps, "--groups", 2, "--conversations", 3, "--frozen", 1, "--warmup", 2, "--threads", 1)
    _run(_HERE / "train.py", "--base", world / "base", "--data", world / "data", "--out", out, *options)
    return (out / "checkpoint.safetensors").read_bytes()


def _export(world: Path, checkpoint: Path, out: Path) -> dict:
    base = world / "base"
    _run(
        _HERE.parent / "export" / "export.py",
        *("--base", base / "e5-small-q4.bin", "--tokenizer", base / "tokenizer.json"),
        *("--checkpoint", checkpoint, "--data", world / "data", "--out", out, "--figures", out / "figures.json"),
    )
    return json.loads((out / "model.json").read_text(encoding="utf-8"))


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise SystemExit(f"smoke run: {what}")


def main() -> None:
    """Trains, stops, goes on, evaluates, exports."""
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder)
        fixture.write(world)
        once = _train(world, world / "once", _STEPS)
        _expect(once == _train(world, world / "again", _STEPS), "the same seed gave two checkpoints")
        log = [json.loads(line) for line in (world / "once" / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        _expect([entry["step"] for entry in log] == list(range(1, _STEPS + 1)), "a step is missing from the log")
        _expect(all(0 < entry["loss"] < 10 for entry in log), "a loss is not a number to learn from")
        more = _train(world, world / "once", _STEPS + 2)
        _expect(more != once, "a run that went on learned nothing")
        checkpoint = world / "once" / "checkpoint.safetensors"
        arguments = ("--base", world / "base", "--data", world / "data", "--checkpoint", checkpoint)
        table = _run(_HERE / "evaluate.py", *arguments, "--routers", 5)
        _expect("own: second turns" in table and "dev_vert" in table, f"the evaluation lacks a family:\n{table}")
        blended = world / "blended.safetensors"
        _run(_HERE / "blend.py", checkpoint, world / "again" / "checkpoint.safetensors", "--out", blended)
        _expect(blended.stat().st_size > 0.9 * checkpoint.stat().st_size, "the mean of two checkpoints lacks parts")
        first, second = (_export(world, checkpoint, world / name) for name in ("model", "model-again"))
        _expect(first == second, "the same checkpoint gave two models")
        golden = json.loads((world / "model" / "golden.json").read_text(encoding="utf-8"))
        _expect(len(golden["conversations"]) > 20, "golden vectors are missing")
        card = _run(_HERE / "card.py", "--figures", world / "model" / "figures.json", "--log", world / "once" / "log.jsonl")
        _expect("| unseen tasks |" in card, f"the model card lacks its table:\n{card}")
    print("smoke run: passed")


if __name__ == "__main__":
    main()
