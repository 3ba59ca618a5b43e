"""Draws training examples: a router as an operator may write it, and conversations with the answer for each.

*None* comes near and far: a task left out of its own domain, what a user may say there that fits nothing, the task of
the same pool that is most like the router's, and requests from elsewhere. Two tasks that are too alike are never in one
router, and never a task and its *none*.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus import Conversation, Pool, Wording, bar_lists, lines, read_answers, read_pools, read_routers, user
from talk import Talk
from wording import task

WEIGHTS = {
    "own": 30.0, "llm": 8.0, "vert": 5.0, "metatool": 2.2, "ni": 2.2, "sgd_serv": 1.5, "sgd_int": 1.5, "hwu": 1.4,
    "xsid": 1.2, "hwu_dom": 1.0, "multidogo": 1.0, "star": 1.0, "p3": 1.0, "seal": 0.7, "ni_mmlu": 0.6,
    "apibench": 0.5, "snips": 0.4, "toolalpaca": 0.3, "ni_bbh": 0.15,
}  # fmt: skip
_OF_ONE_GROUP = ("sgd_int", "multidogo", "hwu")
_ONE_OF_A_GROUP = ("ni", "sgd_serv")
_NONE = 0.26
_ALIKE, _NEAR, _FAR = 0.65, 0.46, 0.42
"""Cosines of task vectors: too alike for one router; the most that a *none* of the same pool, and of another, may be
like a task. Of random pairs 99.8, 98.8 and 97.5 % are below them."""
_PROMPTS = "llm"

Likeness = Callable[[str, str], float]


@dataclass(frozen=True)
class Group:
    """A router with conversations; a label is a task's index, and their number for *none*."""

    pool: str
    tasks: list[dict[str, str]]
    conversations: list[Conversation]
    labels: list[int]


@dataclass(frozen=True)
class Broad:
    """A task that covers a whole domain of the prompts."""

    covers: frozenset[str]
    wordings: list[str]


def likeness_of(vectors: dict[str, np.ndarray]) -> Likeness:
    """How alike two tasks are, from unit vectors by `pool|task`; unknown ones are not alike."""

    def likeness(one: str, other: str) -> float:
        if one not in vectors or other not in vectors:
            return 0.0
        return float(vectors[one] @ vectors[other])

    return likeness


def _broad() -> list[Broad]:
    found = []
    for line in lines("broad.txt"):
        covers, *wordings = (part.strip() for part in line.split("|"))
        found.append(Broad(frozenset(covers.partition(":")[2].split()), wordings))
    return found


class Sampler:
    """All draws come from one seed."""

    def __init__(self, data: Path, seed: int, held_out: bool = False) -> None:
        self._dice = random.Random(seed)
        self.pools = read_pools(data, held_out)
        self.pools["own"] = read_routers(held_out)
        self._likeness: Likeness = lambda one, other: 0.0
        self._names = sorted(name for name, pool in self.pools.items() if len(pool.requests) >= 3)
        self._weights = [WEIGHTS.get(name, 0.5) for name in self._names]
        self._groups = {name: self.pools[name].groups() for name in self._names}
        self._prompts, self._broad = bar_lists("prompts.txt"), _broad()
        self._translated = [[part.strip() for part in line.split("|")] for line in lines("prompt_tasks.txt")]
        self._talk = Talk(self._dice, read_answers(data), self._texts())

    def wordings(self) -> dict[str, Wording]:
        """Every task by `pool|task`."""
        return {f"{name}|{key}": value for name, pool in self.pools.items() for key, value in pool.tasks.items()}

    def compare_by(self, likeness: Likeness) -> None:
        """From now on tasks that are alike are kept apart."""
        self._likeness = likeness

    def group(self, count: int) -> Group:
        """A router with `count` conversations."""
        name = self._dice.choices(self._names, self._weights)[0]
        pool = self.pools[name]
        if pool.exclusive:
            return self._of_business(pool, count)
        if name == _PROMPTS:
            return self._of_prompts(pool, count)
        keys = self._pick(pool, self._dice.choices(range(2, 13), [2, 6, 8, 8, 8, 6, 5, 4, 3, 2, 2])[0])
        return self._fill(pool, keys, count, lambda: self._unlike(pool, keys))

    # --- routers

    def _of_business(self, pool: Pool, count: int) -> Group:
        dice = self._dice
        group = dice.choice(sorted(self._groups[pool.name]))
        keys = list(self._groups[pool.name][group])
        dice.shuffle(keys)
        left: list[str] = []
        while len(keys) > 2 and dice.random() < 0.42:
            left.append(keys.pop())
        left = [key for key in left if self._apart(pool.name, key, pool.name, keys, _ALIKE)]

        def none() -> Conversation | None:
            kind = dice.random()
            if left and kind < 0.5:
                return self._request(pool, dice.choice(left))
            if pool.strangers.get(group) and kind < 0.75:
                return dice.choice(pool.strangers[group])
            return self._foreign(pool, keys)

        return self._fill(pool, keys, count, none)

    def _of_prompts(self, pool: Pool, count: int) -> Group:
        dice = self._dice
        mode = dice.choices(["", "documents", "broad"], [0.4, 0.35, 0.25])[0]
        asks = [key for key in self._talk.asks if key in pool.requests]
        if mode == "documents" and len(asks) > 1:
            keys = dice.sample(asks, min(len(asks), dice.randint(2, 7)))
            return self._fill(pool, keys, count, lambda: self._unlike(pool, keys), documents=True)
        keys = self._pick(pool, dice.randint(3, 10))
        if mode == "broad":
            broad = dice.choice(self._broad)
            others = [key for key in keys if key not in broad.covers]
            covered = [key for key in pool.requests if key in broad.covers]
            if others and covered:
                return self._with_broad(pool, others, (broad, covered), count)
        return self._fill(pool, keys, count, lambda: self._unlike(pool, keys))

    def _with_broad(self, pool: Pool, keys: list[str], broad: tuple[Broad, list[str]], count: int) -> Group:
        """A router one of whose tasks covers a domain. Its *none* comes from other pools."""
        covers, covered = broad
        group = self._fill(pool, keys, count, lambda: self._foreign(pool, [*keys, *covered]))
        name, _, description = self._dice.choice(covers.wordings).partition("::")
        tasks = [*group.tasks, {"name": name.strip(), "description": description.strip()}]
        labels = [len(tasks) if label == len(group.tasks) else label for label in group.labels]
        conversations = list(group.conversations)
        for at in range(len(labels)):
            if self._dice.random() < 0.35:
                key = self._dice.choice(covered)
                conversations[at], fits = self._around(pool, keys, self._request(pool, key), True)
                labels[at] = len(tasks) - 1 if fits else len(tasks)
        return Group(pool.name, tasks, conversations, labels)

    def _pick(self, pool: Pool, count: int) -> list[str]:
        dice = self._dice
        candidates = list(pool.requests)
        dice.shuffle(candidates)
        if pool.name in _OF_ONE_GROUP and dice.random() < 0.6:
            wanted = {pool.tasks[key].group for key in candidates[:2]}
            candidates = [key for key in candidates if pool.tasks[key].group in wanted]
        elif dice.random() < 0.45:
            first = f"{pool.name}|{candidates[0]}"
            candidates = candidates[:60]
            candidates.sort(key=lambda key: dice.random() * 0.25 - self._likeness(first, f"{pool.name}|{key}"))
        chosen: list[str] = []
        for key in candidates:
            taken = {pool.tasks[other].group for other in chosen}
            if pool.name in _ONE_OF_A_GROUP and pool.tasks[key].group in taken:
                continue
            if self._apart(pool.name, key, pool.name, chosen, _ALIKE):
                chosen.append(key)
            if len(chosen) == count:
                break
        return chosen

    def _apart(self, pool: str, key: str, other: str, keys: list[str], most: float) -> bool:
        return all(self._likeness(f"{pool}|{key}", f"{other}|{one}") < most for one in keys)

    # --- requests

    def _draw(self) -> Conversation:
        pool = self.pools[self._dice.choices(self._names, self._weights)[0]]
        return self._request(pool, self._dice.choice(list(pool.requests)))

    def _request(self, pool: Pool, key: str, documents: bool = False) -> Conversation:
        dice = self._dice
        if pool.name == _PROMPTS:
            if key in self._talk.asks and dice.random() < (0.75 if documents else 0.12):
                return self._talk.with_document(key, self._draw_plain)
            if key in self._prompts and dice.random() < 0.35:
                return [user(self._talk.filled(dice.choice(self._prompts[key])))]
        return dice.choice(pool.requests[key])

    def _draw_plain(self) -> Conversation:
        pool = self.pools[self._dice.choices(self._names, self._weights)[0]]
        return self._dice.choice(pool.requests[self._dice.choice(list(pool.requests))])

    def _around(self, pool: Pool, keys: list[str], request: Conversation, fits: bool) -> tuple[Conversation, bool]:
        def earlier() -> Conversation:
            return self._request(pool, self._dice.choice(keys)) if self._dice.random() < 0.7 else self._draw()

        return self._talk.around(request, earlier, fits)

    def _foreign(self, pool: Pool, keys: list[str]) -> Conversation | None:
        """A request of another pool or business that is like none of the tasks."""
        for _ in range(20):
            other = self.pools[self._dice.choices(self._names, self._weights)[0]]
            key = self._dice.choice(list(other.requests))
            same = other is pool and (not pool.exclusive or pool.tasks[key].group == pool.tasks[keys[0]].group)
            if not same and self._apart(other.name, key, pool.name, keys, _FAR):
                return self._request(other, key)
        return None

    def _unlike(self, pool: Pool, keys: list[str]) -> Conversation | None:
        """Of a few tasks of the same pool the one most like the router's, where it is not too like them."""
        dice = self._dice
        if dice.random() < 0.4:
            return self._foreign(pool, keys)
        taken = {pool.tasks[key].group for key in keys} if pool.name in _ONE_OF_A_GROUP else set()
        others = [key for key in pool.requests if key not in keys and pool.tasks[key].group not in taken]
        near = []
        for key in dice.sample(others, min(8, len(others))):
            most = max(self._likeness(f"{pool.name}|{key}", f"{pool.name}|{one}") for one in keys)
            if most < _NEAR:
                near.append((most, key))
        return self._request(pool, max(near)[1]) if near else self._foreign(pool, keys)

    # --- both

    def _fill(
        self,
        pool: Pool,
        keys: list[str],
        count: int,
        none: Callable[[], Conversation | None],
        documents: bool = False,
    ) -> Group:
        dice = self._dice
        style = dice.choices(["mixed", "names", "descriptions", "both"], [5, 2.2, 0.5, 2.3])[0]
        tasks = [self._task(pool, key, style) for key in keys]
        conversations, labels = [], []
        for _ in range(count):
            label = dice.randrange(len(keys))
            stranger = none() if dice.random() < _NONE else None
            request = stranger or self._request(pool, keys[label], documents)
            conversation, fits = self._around(pool, keys, request, stranger is None)
            conversations.append(conversation)
            labels.append(label if fits else len(keys))
        return Group(pool.name, tasks, conversations, labels)

    def _task(self, pool: Pool, key: str, style: str) -> dict[str, str]:
        dice = self._dice
        if pool.name == _PROMPTS and dice.random() < 0.1:
            for _, known, written in dice.sample(self._translated, min(30, len(self._translated))):
                if known == key:
                    name, _, description = written.partition(" :: ")
                    return {"name": name, "description": description}
        examples = [dice.choice(pool.requests[key])[-1]["content"] for _ in range(dice.randint(1, 2))]
        return task(pool.tasks[key], style, examples, dice)

    def _texts(self) -> list[str]:
        """Long requests, cut of nothing, to serve as documents."""
        texts = [
            requests[-1]["content"]
            for pool in self.pools.values()
            for found in pool.requests.values()
            for requests in found
            if len(requests[-1]["content"]) > 350
        ]
        return sorted(set(texts)) or ["Nothing of this is long."]
