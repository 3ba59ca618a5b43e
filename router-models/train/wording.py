"""Variation of texts: how users mistype, shout and greet, and how operators name and describe their tasks."""

import random
import re
import unicodedata

from corpus import Wording

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBORS = {
    key: row[max(0, index - 1) : index] + row[index + 1 : index + 2] for row in _ROWS for index, key in enumerate(row)
}
_UNDECOMPOSED = str.maketrans("łøđı", "lodi")
_TAILS = (" pls", " please", "?", "!!", " 🙏", " asap", " thx", "..", " ??")
_LEADS = ("Requests about: ", "The user wants to: ", "Handles ", "Use for ", "Everything on: ", "When people ask about ")
_REMARKS = (
    " Do not use it for anything else.",
    " Route here only when the user clearly asks for this.",
    " Includes follow-up questions on the same matter.",
    " For customers and staff alike.",
    " Not for general chat.",
)


def mistyped(text: str, dice: random.Random) -> str:
    """One slip of the fingers for every twenty-odd characters."""
    letters = list(text)
    for _ in range(dice.randint(1, max(1, len(letters) // 22))):
        at, kind = dice.randrange(max(1, len(letters) - 1)), dice.random()
        if at + 1 >= len(letters):
            break
        if kind < 0.3:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        elif kind < 0.5 or letters[at] == " ":
            letters[at] = ""
        elif kind < 0.65:
            letters[at] *= 2
        elif letters[at].lower() in _NEIGHBORS:
            letters[at] = dice.choice(_NEIGHBORS[letters[at].lower()])
    return "".join(letters)


def _kept(text: str) -> str:
    return text


def _shouted(text: str) -> str:
    return text.upper() if len(text) < 80 else text


def _unmarked(text: str) -> str:
    return text.rstrip(".?!。？")


def _plain(text: str) -> str:
    """Without accents, as where a keyboard has none."""
    if not text.isascii() and any("\u0370" <= letter for letter in text):
        return text
    parts = unicodedata.normalize("NFD", text.translate(_UNDECOMPOSED))
    return "".join(part for part in parts if not unicodedata.combining(part))


_RETYPINGS = ((str.lower, 12), (_shouted, 1.5), (_unmarked, 6), (_plain, 3), (_kept, 57))


def noisy(text: str, dice: random.Random, manners: list[str]) -> str:
    """A request as users really type it."""
    kind = dice.random()
    if kind < 0.13 and 8 < len(text) < 300:
        return mistyped(text, dice)
    if kind < 0.17 and manners and len(text) < 300:
        greeting, _, farewell = dice.choice(manners).partition("=>")
        return f"{greeting.strip()} {text} {farewell.strip()}".strip()
    if kind < 0.2 and len(text) < 200:
        return text + dice.choice(_TAILS)
    retype = dice.choices([retyping for retyping, _ in _RETYPINGS], [weight for _, weight in _RETYPINGS])[0]
    return retype(text)


def _name(name: str, dice: random.Random) -> str:
    kind = dice.random()
    if kind < 0.3:
        return name.replace(" ", "-").lower()
    if kind < 0.45:
        return name.replace(" ", "_").lower()
    if kind < 0.6:
        return name.title()
    if kind < 0.63:
        return "".join(word[:1].upper() + word[1:] for word in re.split(r"[\s_-]+", name))
    return name


def _description(text: str, examples: list[str], dice: random.Random) -> str:
    text, kind = text.strip(), dice.random()
    if kind < 0.12:
        text = dice.choice(_LEADS) + text[:1].lower() + text[1:]
    elif kind < 0.3:
        text = text[:1].lower() + text[1:]
    if dice.random() < 0.3:
        text = text.rstrip(".")
    if examples and dice.random() < 0.12:
        text = f"{text.rstrip('.')}. Examples: {'; '.join(example[:70] for example in examples)}"
    elif dice.random() < 0.06:
        text = f"{text.rstrip('.')}.{dice.choice(_REMARKS)}"
    return text


def task(wording: Wording, style: str, examples: list[str], dice: random.Random) -> dict[str, str]:
    """A task as an operator may write it; `style` is `names`, `descriptions`, `both` or `mixed`."""
    if wording.pairs and dice.random() < 0.75:
        name, text = dice.choice(wording.pairs)
    else:
        name, text = dice.choice(wording.names), dice.choice(wording.descriptions)
    if style == "mixed":
        style = dice.choices(["both", "names", "descriptions"], [83, 7, 10])[0]
    written = {"name": _name(name, dice), "description": _description(text, examples, dice)}
    if style == "names":
        written["description"] = ""
    elif style == "descriptions":
        written["name"] = ""
    return written
