"""Texts as the tokens that the program reads, by the export's own rule (`../export/window.py`)."""

from functools import lru_cache
from pathlib import Path

import base  # noqa: F401  (puts ../export on the path)
import window
from corpus import Conversation
from network import Read

_KNOWN = 100_000


class Reader:
    """The tokenizer with a memory, because routers and phrases come again and again."""

    def __init__(self, tokenizer: Path) -> None:
        encode = window.load_tokenizer(tokenizer)
        self._encode = lru_cache(maxsize=_KNOWN)(lambda text: tuple(encode(text)))

    def task(self, task: dict[str, str]) -> tuple[int, ...]:
        """A task's tokens."""
        return tuple(window.task_tokens(window.task_text(task), self._encode))

    def conversation(self, conversation: Conversation) -> Read:
        """A conversation's tokens and types."""
        return window.conversation_tokens(conversation, self._encode)
