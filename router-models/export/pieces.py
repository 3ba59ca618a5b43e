"""Writes the tokenizer in the form that the program reads.

The published tokenizer takes some 250 MB in memory, nearly all of it for a trie of hash maps. The same trie in breadth
order needs no pointers: the children of a node lie side by side, and where they begin is where those of the node before
it end. `pieces.bin` is, little-endian: the number of nodes and of pieces (u32 each); for each node and one more, the
index of its first child (u32); for each node, its byte in the low 8 bits and the piece that ends there above them (24
bits, all ones for none); for each piece, its score (f32). Special pieces have no node, so no text can name them.
`tokenizer.json` keeps what comes before the pieces: the normalizer and the pre-tokenizer, as published.
"""

import json
from pathlib import Path

import numpy as np

from window import SPECIAL

NO_PIECE = 0xFFFFFF


def _trie(texts: list[bytes | None]) -> tuple[np.ndarray, np.ndarray]:
    root: dict = {}
    for index, text in enumerate(texts):
        if text is None:
            continue
        node = root
        for byte in text:
            node = node.setdefault(byte, {})
        node[-1] = index
    first, words, level, seen = [], [NO_PIECE << 8], [root], 1
    while level:
        following = []
        for node in level:
            first.append(seen)
            for byte in sorted(key for key in node if key >= 0):
                child = node[byte]
                words.append(child.get(-1, NO_PIECE) << 8 | byte)
                following.append(child)
                seen += 1
        level = following
    first.append(seen)
    return np.array(first, "<u4"), np.array(words, "<u4")


def write(published: Path, folder: Path) -> int:
    """Writes both files and returns the number of pieces."""
    tokenizer = json.loads(published.read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    texts = [None if piece in SPECIAL else piece.encode() for piece, _ in vocabulary]
    first, words = _trie(texts)
    scores = np.array([score for _, score in vocabulary], "<f4")
    header = np.array([len(words), len(scores)], "<u4")
    (folder / "pieces.bin").write_bytes(b"".join(part.tobytes() for part in (header, first, words, scores)))
    kept = {part: tokenizer[part] for part in ("normalizer", "pre_tokenizer")}
    (folder / "tokenizer.json").write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
    return len(scores)
