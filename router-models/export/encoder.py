"""Runs an exported graph the way the program does: one sequence at a time, on one thread."""

import json
from pathlib import Path

import numpy as np
import onnxruntime

from window import Encode, conversation_tokens, task_text, task_tokens

EXAMPLES_WEIGHT = 0.5


def session(path: Path) -> onnxruntime.InferenceSession:
    """Opens a graph. `BASIC`, because the runtime's own fusions replace `Add` and `LayerNormalization` by a fused
    operator that takes five times as long."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Encoder:
    """Vectors of conversations and tasks; every distinct text is encoded once."""

    def __init__(self, graph: Path, encode: Encode, scale: float) -> None:
        self._session = session(graph)
        self._encode = encode
        self._scale = scale
        self._known: dict[str, tuple[np.ndarray, float]] = {}

    def run(self, ids: list[int], types: list[int], task: bool) -> tuple[np.ndarray, float]:
        """Unit vector and *none* logit of one sequence of tokens."""
        inputs = {"ids": np.array([ids]), "types": np.array([types]), "task": np.array([task], np.float32)}
        vector, none = self._session.run(["vector", "none"], inputs)
        return vector[0], float(none[0])

    def conversation(self, messages: list[dict]) -> tuple[np.ndarray, float]:
        """Vector and *none* logit of a conversation."""
        key = json.dumps(messages)
        if key not in self._known:
            self._known[key] = self.run(*conversation_tokens(messages, self._encode), False)
        return self._known[key]

    def task(self, task: dict) -> np.ndarray:
        """A task's vector, with its examples blended in: each moves it by a bounded share, so that one odd example
        cannot capture a task. The blend is not brought back to unit length: what disagrees says less."""
        text = task_text(task)
        if text not in self._known:
            ids = task_tokens(text, self._encode)
            self._known[text] = self.run(ids, [0] * len(ids), True)
        vector = self._known[text][0]
        examples = [self.conversation([{"role": "user", "content": text}])[0] for text in task.get("examples", [])]
        if not examples:
            return vector
        share = EXAMPLES_WEIGHT * len(examples) / (len(examples) + 1)
        return (1 - share) * vector + share * np.mean(examples, axis=0)

    def logits(self, row: dict) -> np.ndarray:
        """Logits of a row's tasks in order, then of *none*."""
        vector, none = self.conversation(row["conversation"])
        return np.array([*(self._scale * (self.task(task) @ vector) for task in row["router"]["tasks"]), none])
