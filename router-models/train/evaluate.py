"""Measures a checkpoint in float32: on tuning sets, and on what training never saw of the pools and of `own/`.

    python evaluate.py --base base --data routing-data --checkpoint run/checkpoint.safetensors [--held-out-only]

The calibration is fitted on the tuning set's unseen tasks, as the export does for the graph that ships. Every use on the
tuning set is a look at it: say in the model card how often it was.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

import base
import calibrate
from calibrate import Calibration, Sample
from corpus import Conversation, assistant, lines, user
from network import Router
from reading import Reader
from sampler import Sampler, likeness_of
from train import task_vectors

_SHIPPED = Calibration(-1.05, 1.1, 0.25)
_REQUESTS = 8
_OF_A_TASK = 2
_SEED = 7


def samples(router: Router, reader: Reader, rows: Iterable[dict]) -> list[Sample]:
    """Logits of rows; every distinct text is encoded once."""
    rows = list(rows)
    tasks = {reader.task(task): None for row in rows for task in row["router"]["tasks"]}
    talks = [reader.conversation(row["conversation"]) for row in rows]
    router.eval()
    with torch.no_grad():
        known = dict(zip(tasks, router.tasks(list(tasks)), strict=True))
        read = router.conversations(talks)
        found = []
        for row, vector in zip(rows, read, strict=True):
            own = torch.stack([known[reader.task(task)] for task in row["router"]["tasks"]])
            logits = router.logits(vector[None], own)[0].double().numpy()
            found.append(Sample(row["family"], logits, row["index"]))
    return found


def labeled(rows: Iterable[dict]) -> Iterable[dict]:
    """Rows of a tuning set with the label's index."""
    for row in rows:
        names = [task["name"] for task in row["router"]["tasks"]]
        yield {**row, "index": names.index(row["label"]) if row["label"] in names else len(names)}


def held_out(data: Path, router: Router, reader: Reader, routers: int) -> list[dict]:
    """Rows of kinds that a tuning set may lack: unseen requests of every pool in routers as training draws them, and
    businesses that training never saw."""
    sampler = Sampler(data, _SEED, held_out=True)
    sampler.compare_by(likeness_of(task_vectors(router, reader, sampler)))
    rows = []
    for _ in range(routers):
        group = sampler.group(_REQUESTS)
        for talk, label in zip(group.conversations, group.labels, strict=True):
            family = f"pool {group.pool}" if len(talk) == 1 else f"turns {group.pool}"
            rows.append(_row(family, group.tasks, talk, label))
    return rows + list(_businesses(sampler))


def _businesses(sampler: Sampler) -> Iterator[dict]:
    """Requests of the businesses that training never saw, alone and in the ways that go wrong most."""
    dice, pool = random.Random(_SEED), sampler.pools["own"]
    follow_ups, closers = lines("content_follow_ups.txt"), lines("closers.txt")
    for group, keys in pool.groups().items():
        tasks = [{"name": pool.tasks[key].names[0], "description": pool.tasks[key].descriptions[0]} for key in keys]
        none = len(tasks)
        for stranger in pool.strangers.get(group, []):
            yield _row("own: fits no task", tasks, stranger, none)
        for index, key in enumerate(keys):
            rest = tasks[:index] + tasks[index + 1 :]
            for request in pool.requests[key][:_OF_A_TASK]:
                answered: Conversation = [*request, assistant("Sure, one moment.")]
                yield _row("own: requests", tasks, request, index)
                yield _row("own: task taken out", rest, request, len(rest))
                yield _row("own: second turns", tasks, [*answered, user(dice.choice(follow_ups))], index)
                yield _row("own: closing remarks", tasks, [*answered, user(dice.choice(closers))], none)


def _row(family: str, tasks: list[dict[str, str]], talk: Conversation, index: int) -> dict:
    return {"family": family, "router": {"tasks": tasks}, "conversation": talk, "index": index}


def report(over: list[Sample], at: Calibration) -> None:
    """A line for each family, then for all."""
    families: dict[str, list[Sample]] = defaultdict(list)
    for sample in over:
        families[sample.family].append(sample)
    for family, part in [*sorted(families.items()), ("all", over)]:
        print(
            f"{family:24} {len(part):5} rows  accuracy {calibrate.accuracy(part, at):6.1%}  "
            f"recall of none {calibrate.none_recall(part, at):6.1%}  "
            f"calibration error {calibrate.calibration_error(part, at):5.1%}"
        )


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("base", "data", "checkpoint"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--held-out-only", action="store_true", help="do not look at the tuning set")
    parser.add_argument("--routers", type=int, default=200, help="how many to draw from what training never saw")
    given = parser.parse_args()
    router = base.load(given.base / "e5-small-q4.bin", given.checkpoint)
    reader = Reader(given.base / "tokenizer.json")
    at = _SHIPPED
    if not given.held_out_only:
        over = samples(router, reader, labeled(calibrate.read(given.data / "dev.jsonl")))
        at = calibrate.fit([sample for sample in over if sample.family in calibrate.UNSEEN])
        print(f"tuning set, float32, {at}")
        report(over, at)
    print("kept from training")
    report(samples(router, reader, held_out(given.data, router, reader, given.routers)), at)


if __name__ == "__main__":
    main()
