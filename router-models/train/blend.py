"""Writes the mean of two checkpoints: what a run learned without all that it forgot.

    python blend.py before.safetensors run/checkpoint.safetensors --share 0.5 --out blended.safetensors
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def blend(one: dict[str, np.ndarray], other: dict[str, np.ndarray], share: float) -> dict[str, np.ndarray]:
    """(1 - `share`) of the first and `share` of the second, for what both have."""
    return {
        name: ((1 - share) * value.astype(np.float32) + share * other[name].astype(np.float32)).astype(value.dtype)
        for name, value in one.items()
        if name in other
    }


def main() -> None:
    """Reads both and writes their mean."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoints", type=Path, nargs=2)
    parser.add_argument("--share", type=float, default=0.5, help="of the second checkpoint")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    one, other = map(load_file, given.checkpoints)
    save_file(blend(one, other, given.share), given.out)


if __name__ == "__main__":
    main()
