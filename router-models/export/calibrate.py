"""Offset, temperature and threshold from the tuning sets: what makes a logit a probability that means what it says.

Only families whose tasks no training pool has are used, because only they show what a new operator will see. Routers
with examples have a calibration of their own, from the tuning set with examples: a blend of texts lies nearer.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encoder import Encoder

UNSEEN = ("dev_vert", "dev_metatool", "dev_ni", "dev_seal")
OFFSETS = np.arange(-2.5, 0.5, 0.05)
TEMPERATURES = np.arange(0.5, 1.6, 0.05)
THRESHOLDS = np.arange(0.0, 0.6, 0.05)


@dataclass(frozen=True)
class Calibration:
    """Softmax over (logits, with `offset` added to *none*) / `temperature`; matched at or above `threshold`."""

    offset: float
    temperature: float
    threshold: float


@dataclass(frozen=True)
class Sample:
    """One row's logits, the last of which is *none*, and the index of its label among them."""

    family: str
    logits: np.ndarray
    label: int


def read(path: Path) -> list[dict]:
    """The rows of a tuning set."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def samples(rows: list[dict], encoder: Encoder) -> list[Sample]:
    """Every row through the encoder."""

    def label(row: dict) -> int:
        names = [task["name"] for task in row["router"]["tasks"]]
        return names.index(row["label"]) if row["label"] in names else len(names)

    return [Sample(row["family"], encoder.logits(row), label(row)) for row in rows]


def probabilities(sample: Sample, calibration: Calibration) -> np.ndarray:
    """The probabilities of the tasks, then of *none*."""
    shifted = sample.logits.copy()
    shifted[-1] += calibration.offset
    shifted = np.exp((shifted - shifted.max()) / calibration.temperature)
    return shifted / shifted.sum()


def matched(given: np.ndarray, threshold: float) -> int:
    """The index of the answer; the last one is *none*."""
    best = int(given.argmax())
    return best if given[best] >= threshold else len(given) - 1


def accuracy(over: list[Sample], calibration: Calibration) -> float:
    """The share of right answers."""
    return float(np.mean([matched(probabilities(s, calibration), calibration.threshold) == s.label for s in over]))


def none_recall(over: list[Sample], calibration: Calibration) -> float:
    """The share of *none* that is answered so."""
    nones = [s for s in over if s.label == len(s.logits) - 1]
    return accuracy(nones, calibration) if nones else float("nan")


def likelihood(over: list[Sample], calibration: Calibration) -> float:
    """The mean log likelihood of the labels."""
    return float(np.mean([np.log(probabilities(s, calibration)[s.label] + 1e-9) for s in over]))


def calibration_error(over: list[Sample], calibration: Calibration, bins: int = 10) -> float:
    """How far, on average over ten bins of confidence, confidence is from accuracy."""
    given = [probabilities(s, calibration) for s in over]
    confidence = np.array([p.max() for p in given])
    right = np.array([int(p.argmax()) == s.label for p, s in zip(given, over)])
    of = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(sum(abs(confidence[of == b].mean() - right[of == b].mean()) * (of == b).mean() for b in set(of)))


def fit(over: list[Sample]) -> Calibration:
    """Among the offsets within 0.3 points of the best accuracy the one that abstains most; among the temperatures
    within 0.004 of the best likelihood the one with the smallest calibration error; the largest threshold within 0.1
    points of the best accuracy. All three are flat near their best, so where two values are as good, the one that
    guesses less is taken."""
    reached = {o: accuracy(over, Calibration(o, 1.0, 0.0)) for o in OFFSETS}
    offset = max(o for o in OFFSETS if reached[o] >= max(reached.values()) - 0.003)
    likely = {t: likelihood(over, Calibration(offset, t, 0.0)) for t in TEMPERATURES}
    near = [t for t in TEMPERATURES if likely[t] >= max(likely.values()) - 0.004]
    temperature = min(near, key=lambda t: calibration_error(over, Calibration(offset, t, 0.0)))
    reached = {t: accuracy(over, Calibration(offset, temperature, t)) for t in THRESHOLDS}
    threshold = max(t for t in THRESHOLDS if reached[t] >= max(reached.values()) - 0.001)
    return Calibration(round(float(offset), 2), round(float(temperature), 2), round(float(threshold), 2))
