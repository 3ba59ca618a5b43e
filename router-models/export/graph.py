"""Builds the encoder's ONNX graph: one sequence in, one unit vector and one *none* logit out.

One graph serves both sides. A conversation is pooled by learned attention, its earlier turns (type 1) gated down; a
task's text is a plain mean. Attention is one fused operator of ONNX Runtime. Layer norms are not fused with the sum
before them, on purpose: the fused operator takes five times as long.
Dense products are integer (`DynamicQuantizeMatMul`: 8-bit activations with one scale, weights with one for each output
column). What is too loud for one scale is spared (`outliers.py`): a few hidden channels of each feed-forward are
computed in float32 beside it, and its inputs are calmed, their weights raised in turn.

The word rows lie outside the graph in a file of their own, which is mapped rather than read, so that only the rows that
are used become resident.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

import weights
from weights import WIDTH, Words

HEADS = 12
POSITIONS = 64
OPSET = 20
LEVELS = 63
"""Weights have seven bits, so that the sum of two products with 8-bit activations fits in 16: processors without VNNI
saturate there. With it every processor computes the same integers."""
GRAPH_FILE = "encoder.onnx"
WORDS_FILE = "words.bin"
_RUNTIME = "com.microsoft"


@dataclass(frozen=True)
class Spared:
    """What of one layer's feed-forward is kept from 8 bits."""

    channels: list[int]  # hidden channels that are computed in float32
    calm: np.ndarray | None  # factors that bring loud inputs to the level of the others


class Graph:
    """Nodes and initializers while they are collected."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes))
        return output


def quantize_columns(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric 8-bit with one scale for each column."""
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-12) / LEVELS
    return np.clip(np.round(weight / scale), -LEVELS, LEVELS).astype(np.int8), scale.astype(np.float32)


def _dense(graph: Graph, source: str, weight: np.ndarray, bias: np.ndarray, name: str, quantized: bool) -> str:
    bias = graph.constant(f"{name}.bias", bias)
    if not quantized:
        product = graph.op("MatMul", [source, graph.constant(f"{name}.weight", weight.T)], f"{name}.product")
        return graph.op("Add", [product, bias], name)
    values, scale = quantize_columns(weight.T)
    inputs = [
        source,
        graph.constant(f"{name}.weight", values),
        graph.constant(f"{name}.scale", scale),
        graph.constant(f"{name}.zero", np.zeros(scale.shape, np.int8)),
        bias,
    ]
    return graph.op("DynamicQuantizeMatMul", inputs, name, _RUNTIME)


def _norm(graph: Graph, source: str, skip: str, parameters: dict, name: str) -> str:
    scale = graph.constant(f"{name}.weight", parameters[f"{name}.weight"])
    shift = graph.constant(f"{name}.bias", parameters[f"{name}.bias"])
    total = graph.op("Add", [source, skip], f"{name}.sum")
    return graph.op("LayerNormalization", [total, scale, shift], name, axis=-1, epsilon=1e-12)


def _words(graph: Graph) -> str:
    nibbles = graph.op("Gather", ["word.nibbles", "ids"], "rows.nibbles", axis=0)
    shape = graph.constant("blocks", np.array([0, 0, WIDTH // 32, 16], np.int64))
    blocks = graph.op("Reshape", [nibbles, shape], "rows.blocks")
    low = graph.op("BitwiseAnd", [blocks, graph.constant("mask", np.array(15, np.uint8))], "rows.low")
    high = graph.op("BitShift", [blocks, graph.constant("four", np.array(4, np.uint8))], "rows.high", direction="RIGHT")
    values = graph.op("Concat", [low, high], "rows.unsigned", axis=3)
    values = graph.op("Cast", [values], "rows.float", to=TensorProto.FLOAT)
    values = graph.op("Sub", [values, graph.constant("eight", np.array(8, np.float32))], "rows.signed")
    scales = graph.op("Gather", ["word.scales", "ids"], "rows.half", axis=0)
    scales = graph.op("Cast", [scales], "rows.scale", to=TensorProto.FLOAT)
    scales = graph.op("Unsqueeze", [scales, graph.constant("last", np.array([3], np.int64))], "rows.scales")
    values = graph.op("Mul", [values, scales], "rows.scaled")
    return graph.op("Reshape", [values, graph.constant("flat", np.array([0, 0, WIDTH], np.int64))], "rows")


def _embed(graph: Graph, parameters: dict) -> str:
    one, zero = graph.constant("one_axis", np.array([1], np.int64)), graph.constant("start", np.array([0], np.int64))
    length = graph.op(
        "Slice", [graph.op("Shape", ["ids"], "shape"), one, graph.constant("two", np.array([2]))], "length"
    )
    positions = graph.constant("positions", parameters["pos.weight"][:POSITIONS])
    positions = graph.op("Slice", [positions, zero, length, zero], "position")
    types = graph.op("Gather", [graph.constant("type.rows", parameters["typ.weight"]), "types"], "type", axis=0)
    return _norm(
        graph,
        graph.op("Add", [_words(graph), types], "embedded"),
        graph.op("Unsqueeze", [positions, zero], "position3"),
        parameters,
        "ln",
    )


def _feed_forward(graph: Graph, source: str, parameters: dict, name: str, spared: Spared | None) -> str:
    first, bias = parameters[f"{name}.f1.weight"], parameters[f"{name}.f1.bias"]
    second, last = parameters[f"{name}.f2.weight"], parameters[f"{name}.f2.bias"]
    if spared is None:
        wide = graph.op("Gelu", [_dense(graph, source, first, bias, f"{name}.f1", False)], f"{name}.gelu")
        return _dense(graph, wide, second, last, f"{name}.f2", False)
    channels = spared.channels
    narrow = graph.op(
        "MatMul", [source, graph.constant(f"{name}.spared.in", first[channels].T)], f"{name}.spared.product"
    )
    narrow = graph.op("Add", [narrow, graph.constant(f"{name}.spared.bias", bias[channels])], f"{name}.spared")
    narrow = graph.op("Gelu", [narrow], f"{name}.spared.gelu")
    narrow = graph.op(
        "MatMul", [narrow, graph.constant(f"{name}.spared.out", second[:, channels].T)], f"{name}.spared.back"
    )
    first, bias, second = first.copy(), bias.copy(), second.copy()
    first[channels], bias[channels], second[:, channels] = 0, 0, 0
    if spared.calm is not None:
        source = graph.op("Mul", [source, graph.constant(f"{name}.calm", spared.calm)], f"{name}.calmed")
        first = first / spared.calm
    wide = graph.op("Gelu", [_dense(graph, source, first, bias, f"{name}.f1", True)], f"{name}.gelu")
    return graph.op("Add", [_dense(graph, wide, second, last, f"{name}.f2", True), narrow], f"{name}.forward")


def _layer(graph: Graph, source: str, parameters: dict, index: int, spared: Spared | None) -> str:
    name = f"layers.{index}"

    def dense(of: str, part: str) -> str:
        weight, bias = parameters[f"{name}.{part}.weight"], parameters[f"{name}.{part}.bias"]
        return _dense(graph, of, weight, bias, f"{name}.{part}", spared is not None)

    projected = dense(source, "qkv")
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    graph.nodes.append(helper.make_node("Split", [projected], parts, name=f"{name}.split", axis=2, num_outputs=3))
    attended = graph.op("MultiHeadAttention", parts, f"{name}.attended", _RUNTIME, num_heads=HEADS)
    middle = _norm(graph, dense(attended, "o"), source, parameters, f"{name}.ln1")
    return _norm(graph, _feed_forward(graph, middle, parameters, name, spared), middle, parameters, f"{name}.ln2")


def _pool(graph: Graph, states: str, parameters: dict, scale: float) -> None:
    one = "one_axis"
    score = graph.op("MatMul", [states, graph.constant("pool.weight", parameters["qa.weight"].T)], "pool.score")
    gate = float(np.log(max(float(parameters["gate"][0]), 1e-3)))
    earlier = graph.op("Cast", ["types"], "pool.earlier", to=TensorProto.FLOAT)
    earlier = graph.op("Unsqueeze", [earlier, graph.constant("third", np.array([2], np.int64))], "pool.earlier3")
    earlier = graph.op("Mul", [earlier, graph.constant("pool.gate", np.array(gate, np.float32))], "pool.gated")
    score = graph.op("Add", [score, earlier], "pool.scored")
    learned = graph.op("Sub", [graph.constant("unit", np.array(1, np.float32)), "task"], "pool.learned")
    share = graph.op("Softmax", [graph.op("Mul", [score, learned], "pool.logits")], "pool.share", axis=1)
    pooled = graph.op("ReduceSum", [graph.op("Mul", [states, share], "pool.weighted"), one], "pooled", keepdims=0)
    centered = graph.op("Sub", [pooled, graph.constant("mean", parameters["mu"])], "centered")
    norm = graph.op("ReduceL2", [centered, one], "norm", keepdims=1)
    norm = graph.op("Clip", [norm, graph.constant("least", np.array(1e-9, np.float32))], "norm.clipped")
    graph.op("Div", [centered, norm], "vector")
    logit = graph.op("MatMul", ["vector", graph.constant("none.weight", scale * parameters["w.weight"].T)], "none.dot")
    bias = graph.constant("none.bias", np.array(scale * float(parameters["tau"][0]), np.float32))
    graph.op("Squeeze", [graph.op("Add", [logit, bias], "none.logit"), one], "none")


def _outside(name: str, values: np.ndarray, offset: int) -> onnx.TensorProto:
    tensor = numpy_helper.from_array(values, name)
    set_external_data(tensor, WORDS_FILE, offset=offset, length=values.nbytes)
    tensor.ClearField("raw_data")
    return tensor


def build(parameters: dict[str, np.ndarray], words: Words, spared: list[Spared] | None = None) -> onnx.ModelProto:
    """The graph; its word rows are expected in `WORDS_FILE` beside it."""
    graph = Graph()
    graph.initializers.append(_outside("word.nibbles", words.nibbles, 0))
    graph.initializers.append(_outside("word.scales", words.scales, words.nibbles.nbytes))
    states = _embed(graph, parameters)
    for index in range(weights.layers(parameters)):
        states = _layer(graph, states, parameters, index, spared[index] if spared else None)
    _pool(graph, states, parameters, float(np.exp(parameters["log_s"][0])))
    sequence = [1, "length"]
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, sequence),
        helper.make_tensor_value_info("types", TensorProto.INT64, sequence),
        helper.make_tensor_value_info("task", TensorProto.FLOAT, [1]),
    ]
    outputs = [
        helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, WIDTH]),
        helper.make_tensor_value_info("none", TensorProto.FLOAT, [1]),
    ]
    body = helper.make_graph(graph.nodes, "router", inputs, outputs, graph.initializers)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_RUNTIME, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=9, producer_name="pointsman")


def save(folder: Path, parameters: dict[str, np.ndarray], words: Words, spared: list[Spared] | None = None) -> None:
    """Writes graph and word rows into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WORDS_FILE).write_bytes(words.nibbles.tobytes() + words.scales.tobytes())
    (folder / GRAPH_FILE).write_bytes(build(parameters, words, spared).SerializeToString())
