"""Finds what 8 bits would lose: in this encoder one hidden channel of most layers, and one or two inputs of each
feed-forward, are ten times louder than all others, and one scale for all of them leaves the others a few levels."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import weights
from graph import Spared
from window import Encode, conversation_tokens, task_text, task_tokens

CHANNELS = 4
CALM = 0.6
"""How much of a loud input is moved into the weights (SmoothQuant's alpha)."""
SAMPLE = 150


def _loudest(graph: Path, names: list[str], sequences: list[tuple]) -> dict[str, np.ndarray]:
    model = onnx.load(graph, load_external_data=False)
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    watched = graph.with_name("watched.onnx")
    onnx.save(model, watched)
    session = onnxruntime.InferenceSession(str(watched), providers=["CPUExecutionProvider"])
    loudest = {name: np.zeros(1, np.float32) for name in names}
    for ids, types, task in sequences:
        inputs = {"ids": np.array([ids]), "types": np.array([types]), "task": np.array([task], np.float32)}
        for name, value in zip(names, session.run(names, inputs)):
            loudest[name] = np.maximum(loudest[name], np.abs(value[0]).max(axis=0))
    watched.unlink()
    return loudest


def find(graph: Path, parameters: dict[str, np.ndarray], rows: list[dict], encode: Encode) -> list[Spared]:
    """Runs the float32 graph over a sample of rows and says what to spare in each layer."""
    sample = rows[:: max(1, len(rows) // SAMPLE)]
    sequences = []
    for row in sample:
        sequences.append((*conversation_tokens(row["conversation"], encode), False))
        ids = task_tokens(task_text(row["router"]["tasks"][0]), encode)
        sequences.append((ids, [0] * len(ids), True))
    layers = weights.layers(parameters)
    names = [f"layers.{index}.{part}" for index in range(layers) for part in ("gelu", "ln1")]
    loudest = _loudest(graph, names, sequences)
    spared = []
    for index in range(layers):
        hidden, inputs = loudest[f"layers.{index}.gelu"], loudest[f"layers.{index}.ln1"]
        weight = np.abs(parameters[f"layers.{index}.f1.weight"]).max(axis=0)
        calm = weight ** (1 - CALM) / inputs**CALM
        channels = sorted(int(channel) for channel in np.argsort(-hidden)[:CHANNELS])
        spared.append(Spared(channels, (calm / calm.max()).astype(np.float32)))
    return spared
