"""Reads what the router is trained on: pools of labelled requests, operators' routers, and phrases to build talks from.

A data folder holds `pools/NAME.json.gz` (`{name, classes: {id: {names, descs, group}}, items: [{conv, label}]}`) and
`pools/aux.json.gz` (assistants' answers). `own/` beside this file holds what was written for this: routers of many
businesses as `routers_*.txt`, and phrases, one a line. The tuning sets `dev*.jsonl` are never read here.
"""

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

OWN = Path(__file__).with_name("own")
HELD_OUT_EVERY = 12
"""One router in twelve of `own/`, and one request in twelve of a pool, is kept from training."""
_SPLIT_SEED = 13

Message = dict[str, str]
Conversation = list[Message]


@dataclass(frozen=True)
class Wording:
    """How operators may write one task."""

    names: list[str]
    descriptions: list[str]
    group: str
    pairs: list[list[str]] = field(default_factory=list)


@dataclass
class Pool:
    """Tasks with requests for them. In an exclusive pool the tasks of one group are one business's: whatever asks for
    one of them fits no other."""

    name: str
    exclusive: bool
    tasks: dict[str, Wording]
    requests: dict[str, list[Conversation]]
    strangers: dict[str, list[Conversation]] = field(default_factory=dict)

    def groups(self) -> dict[str, list[str]]:
        """Tasks that have requests, by group."""
        found: dict[str, list[str]] = defaultdict(list)
        for key in self.requests:
            found[self.tasks[key].group].append(key)
        return dict(found)


def user(text: str) -> Message:
    """A user's turn."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    """An assistant's turn."""
    return {"role": "assistant", "content": text}


def lines(name: str, folder: Path = OWN) -> list[str]:
    """The lines of a phrase file without blank ones."""
    return [line.strip() for line in (folder / name).read_text(encoding="utf-8").splitlines() if line.strip()]


def bar_lists(name: str, folder: Path = OWN) -> dict[str, list[str]]:
    """Lines of the form `key | value | value`."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines(name, folder):
        key, *values = (part.strip() for part in line.split("|"))
        found[key] += [value.replace("\\n", "\n") for value in values if value]
    return dict(found)


def _read_pool(path: Path, held_out: bool) -> Pool:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        raw = json.load(file)
    tasks = {
        key: Wording(value["names"], value["descs"] or value["names"], value.get("group", ""), value.get("pairs", []))
        for key, value in raw["classes"].items()
    }
    items = raw["items"]
    random.Random(_SPLIT_SEED).shuffle(items)
    requests: dict[str, list[Conversation]] = defaultdict(list)
    for index, item in enumerate(items):
        if (index % HELD_OUT_EVERY == 0) == held_out:
            requests[item["label"]].append(item["conv"])
    return Pool(raw["name"], raw["name"] == "vert", tasks, {key: requests[key] for key in sorted(requests)})


def read_pools(folder: Path, held_out: bool = False) -> dict[str, Pool]:
    """Every pool of a data folder; with `held_out` only what training never sees."""
    paths = [path for path in sorted((folder / "pools").glob("*.json.gz")) if path.name != "aux.json.gz"]
    pools = [_read_pool(path, held_out) for path in paths]
    return {pool.name: pool for pool in pools if pool.requests}


def read_answers(folder: Path) -> list[str]:
    """What assistants said, to stand between two turns of a user."""
    with gzip.open(folder / "pools" / "aux.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)["answers"]


def _sections(folder: Path) -> Iterator[tuple[str, list[str]]]:
    for path in sorted(folder.glob("routers_*.txt")):
        section: list[str] = []
        name = ""
        for line in lines(path.name, folder):
            if line.startswith("== "):
                if section:
                    yield name, section
                name, section = line[3:].strip(), []
            else:
                section.append(line)
        if section:
            yield name, section


def _dialogue(text: str) -> Conversation:
    """A request, or turns apart by `>>` of which the last is the user's; `\\n` breaks a line."""
    turns = [turn.strip() for turn in text.replace("\\n", "\n").split(">>")]
    return [(user if at % 2 == 0 else assistant)(turn) for at, turn in enumerate(turns)]


def read_routers(held_out: bool = False, folder: Path = OWN) -> Pool:
    """Operators' routers: `== business`, then `name; other name :: description; other | request | request` for each
    task, and `none | request` for what a user may say there that fits no task. A request may be a dialogue."""
    pool = Pool("own", True, {}, {})
    sections = dict(_sections(folder))
    kept = set(sorted(sections)[HELD_OUT_EVERY // 2 - 1 :: HELD_OUT_EVERY])
    for business, rows in sections.items():
        if (business in kept) != held_out:
            continue
        for row in rows:
            head, *requests = (part.strip() for part in row.split("|"))
            conversations = [_dialogue(request) for request in requests if request]
            if head == "none":
                pool.strangers[business] = conversations
                continue
            names, _, descriptions = head.partition("::")
            listed = [name.strip() for name in names.split(";")]
            described = [text.strip() for text in descriptions.split(";") if text.strip()]
            key = f"{business}/{listed[0]}"
            pool.tasks[key] = Wording(listed, described or listed, business)
            pool.requests[key] = conversations
    return pool
