"""Which tokens of a conversation, and of a task, the encoder reads. `src/classifier/onnx/window.rs` is the same rule.

A conversation is its user turns and the assistant's last one; system, developer and tool text never enters. The
current user turn comes first, then the rest from the newest to the oldest, each with its share of a fixed budget. What
is too long keeps its head and its tail, because the ask is usually at one end of it. Texts are cut by characters
before they are tokenized, so that the cost does not grow with the input; the limits are so wide that this changes
nothing but what the token limits drop anyway (no piece is longer than 16 characters).
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

VERSION = 1
WINDOW = 64
TASK = 48
CURRENT = 46
EARLIER = 32
ASSISTANT = 20
LEAST = 4
HEAD_CHARACTERS = 500
TAIL_CHARACTERS = 500
MESSAGES = 16
START, END = 0, 2
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
WHITE = "".join(
    map(chr, [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000])
)

Encode = Callable[[str], Sequence[int]]


def load_tokenizer(path: Path) -> Encode:
    """The published tokenizer, with two changes: scores are single precision, as the program keeps them, and special
    tokens cannot be written by a user."""
    published = json.loads(path.read_text(encoding="utf-8"))
    published["added_tokens"] = []
    published["post_processor"] = None
    vocabulary = published["model"]["vocab"]
    for index, (piece, score) in enumerate(vocabulary):
        vocabulary[index] = [f"\x00{piece}" if piece in SPECIAL else piece, float(np.float32(score))]
    tokenizer = Tokenizer.from_str(json.dumps(published))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def cut(text: str) -> str:
    """Head and tail of a long text, joined by a line break."""
    text = text.strip(WHITE)
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        return text
    return f"{text[:HEAD_CHARACTERS]}\n{text[-TAIL_CHARACTERS:]}"


def squeeze(ids: Sequence[int], limit: int) -> list[int]:
    """The first half of `limit` and the rest of it from the end."""
    if len(ids) <= limit:
        return list(ids)
    head = limit // 2
    return [*ids[:head], *ids[len(ids) - (limit - head) :]]


def turns(conversation: list[dict]) -> tuple[str, list[tuple[str, int]]]:
    """The current user turn, and what else is read, newest first, each with its limit of tokens."""
    said = [(message["role"], cut(message["content"])) for message in conversation]
    answers = [index for index, (role, text) in enumerate(said) if role == "assistant" and text]
    read = [turn for index, turn in enumerate(said) if turn[1] and (turn[0] == "user" or index in answers[-1:])]
    current, rest = "", []
    for role, text in reversed(read[-MESSAGES:]):
        if role == "assistant":
            rest.append((f"assistant: {text}", ASSISTANT))
        elif current:
            rest.append((f"user: {text}", EARLIER))
        else:
            current = text
    return current, rest


def conversation_tokens(conversation: list[dict], encode: Encode) -> tuple[list[int], list[int]]:
    """Token ids and types; type 1 is everything but the current turn."""
    current, rest = turns(conversation)
    budget = WINDOW - 3
    ids = squeeze(encode(current), CURRENT if rest else budget)
    room = budget - len(ids)
    earlier: list[int] = []
    for text, limit in rest:
        tokens = squeeze(encode(text), limit)
        left = room - len(earlier)
        if len(tokens) > left:
            if left > LEAST:
                earlier += tokens[:left]
            break
        earlier += tokens
    ids = [START, *ids, END]
    types = [0] * len(ids)
    if earlier:
        ids += [*earlier, END]
        types += [1] * (len(earlier) + 1)
    return ids, types


def task_text(task: dict) -> str:
    """A task in one line."""
    name, description = task.get("name", ""), task.get("description", "")
    return f"{name}: {description}" if name and description else name or description


def task_tokens(text: str, encode: Encode) -> list[int]:
    """A task's text keeps its head."""
    return [START, *encode(text[: HEAD_CHARACTERS + TAIL_CHARACTERS])[: TASK - 2], END]
