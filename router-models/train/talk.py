"""Builds what users send around a request: documents with an ask at one end, earlier turns, follow-ups, closing remarks.

Labels follow the product's rules: the task of the current turn; a follow-up, bare or with content of its own, keeps the
task that it refers to; a closing remark and idle chatter fit no task.
"""

import random
from collections.abc import Callable

from corpus import OWN, Conversation, assistant, bar_lists, lines, user
from wording import noisy

LANGUAGES = tuple(
    "French German Spanish Italian Portuguese Dutch Polish Japanese Chinese Korean Arabic Hindi Turkish Russian Swedish".split()
)
_PROGRAMMING = ("Python", "JavaScript", "Go", "Rust", "Java", "C++", "PHP", "TypeScript", "Ruby", "bash")
_ERRORS = (
    "KeyError: 'id'",
    "TypeError: undefined is not a function",
    "NullPointerException",
    "segmentation fault (core dumped)",
    "IndexError: list index out of range",
    "error[E0382]: borrow of moved value",
)
_SPEAKERS = ("Anna", "Ben", "Mr. Ito", "Support", "Customer", "Ola", "Jürgen")
_SWITCH, _BARE, _CONTENT, _CLOSING, _CHATTER = 0.22, 0.30, 0.42, 0.47, 0.48
"""Up to which throw of the dice a conversation becomes which kind; above the last it stays as it is."""

Draw = Callable[[], Conversation]


class Talk:
    """Phrases, and the dice that choose among them."""

    def __init__(self, dice: random.Random, answers: list[str], texts: list[str]) -> None:
        self._dice = dice
        self._answers = answers
        self._texts = texts
        self._code = [answer for answer in answers if any(mark in answer[:80] for mark in "{};()=")] or ["print(x)"]
        self._closers, self._follow_ups = lines("closers.txt"), lines("follow_ups.txt")
        self._content, self._chatter, self._manners = (
            lines("content_follow_ups.txt"),
            lines("chatter.txt"),
            lines("manners.txt"),
        )
        self._questions = [line.partition("=>")[::2] for line in lines("answers.txt")]
        self.asks = bar_lists("document_asks.txt", OWN)

    def _user(self, text: str) -> dict[str, str]:
        return user(noisy(text, self._dice, self._manners))

    def _answer(self) -> dict[str, str]:
        return assistant(self._dice.choice(self._answers)[: self._dice.choice((60, 150, 300))])

    def filled(self, prompt: str) -> str:
        """A prompt template with its slots filled."""
        dice = self._dice
        slots = {
            "{pl}": dice.choice(_PROGRAMMING),
            "{err}": dice.choice(_ERRORS),
            "{L}": dice.choice(LANGUAGES),
            "{snippet}": dice.choice(self._code)[: dice.choice((120, 300))],
            "{d}": dice.choice(self._texts)[: dice.choice((120, 400, 1500))],
        }
        for slot, value in slots.items():
            prompt = prompt.replace(slot, value)
        return prompt

    def document(self, draw: Draw) -> str:
        """A long text. Often it is made of other requests: what they are about must not win over the ask."""
        dice = self._dice
        if dice.random() > 0.35:
            text = dice.choice(self._code if dice.random() < 0.12 else self._texts)
            while len(text) < 1500 and dice.random() < 0.45:
                text = f"{text}\n\n{dice.choice(self._texts)}"
            return text[:3600]
        said = [draw()[-1]["content"][:300] for _ in range(dice.choice((3, 6, 12, 20)))]
        form = dice.random()
        if form < 0.3:
            return "\n".join(f"{dice.choice(_SPEAKERS)}: {text}" for text in said)
        if form < 0.5:
            return "\n".join(f"- {text}" for text in said)
        if form < 0.6:
            return f"Subject: {said[0][:60]}\n\nHi team,\n" + "\n".join(said[1:]) + "\n\nBest regards"
        return " ".join(text if text[-1:] in ".?!" else f"{text}." for text in said)

    def with_document(self, kind: str, draw: Draw) -> Conversation:
        """An ask of this kind before or after a document."""
        dice = self._dice
        ask = dice.choice(self.asks[kind]).replace("{L}", dice.choice(LANGUAGES))
        text, between = self.document(draw), dice.choice(("\n\n", "\n", "\n---\n", ": "))
        return [user(f"{ask.rstrip('.')}{between}{text}" if dice.random() < 0.5 else f"{text}{between}{ask}")]

    def around(self, conversation: Conversation, earlier: Draw, fits: bool) -> tuple[Conversation, bool]:
        """A request in its conversation, and whether the label still holds."""
        dice = self._dice
        conversation = [dict(message) for message in conversation]
        conversation[-1] = self._user(conversation[-1]["content"])
        kind = dice.random()
        if kind < _SWITCH and len(conversation) == 1:
            return [*earlier()[-3:], self._answer(), *conversation], fits
        if _SWITCH <= kind < _CONTENT and fits:
            return [*conversation, *self._follow_up(kind >= _BARE)], True
        if _CONTENT <= kind < _CLOSING:
            return [*conversation, self._answer(), self._user(dice.choice(self._closers))], False
        if _CLOSING <= kind < _CHATTER:
            return [*conversation[:-1], self._user(dice.choice(self._chatter))], False
        return conversation, fits

    def _follow_up(self, content: bool) -> Conversation:
        dice = self._dice
        if not content:
            return [self._answer(), self._user(dice.choice(self._follow_ups))]
        if dice.random() < 0.5:
            question, reply = dice.choice(self._questions)
            return [assistant(question.strip()), self._user(reply.strip())]
        return [self._answer(), self._user(dice.choice(self._content))]
