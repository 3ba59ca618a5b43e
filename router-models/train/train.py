"""Fine-tunes the router.

    python train.py --base base --data routing-data --out run --minutes 120 [--init checkpoint.safetensors]

The same seed, data and number of steps give the same weights on the same machine; `--minutes` stops by the clock and is
deterministic only up to where it stops. Stopped by SIGTERM or Ctrl-C, it saves and goes on from there when started
again. `--half` has the encoder compute in bfloat16: a fifth faster where the processor has instructions for it, slower
where it has none.
"""

import argparse
import json
import math
import signal
import time
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch.nn import functional

import base
from network import Router
from reading import Reader
from sampler import Group, Sampler, likeness_of

CHECKPOINT, STATE, LOG = "checkpoint.safetensors", "state.pt", "log.jsonl"
_SMOOTHING = 0.02
_ALIKE = 0.4
"""The cosine from which two tasks of different routers may fit the same request."""
_HEAD_RATE = 5.0
"""The pooling and *none* learn this much faster than the layers."""


@dataclass(frozen=True)
class Settings:
    """What a run depends on besides its data."""

    seed: int = 1
    steps: int = 1000
    rate: float = 8e-5
    warmup: int = 24
    tail: float = 0.3
    """The share of the run at whose end the rate has fallen to nothing; before it the rate is constant."""
    groups: int = 8
    conversations: int = 8
    frozen: int = 4
    clip: float = 1.0
    strangers: float = 0.25
    """The weight of telling a request's task from those of the step's other routers."""


class Average:
    """The running mean of the weights, which is what is kept: it is better than any single step's."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self.weights = {name: value.detach().clone() for name, value in self._trained()}

    def _trained(self) -> list[tuple[str, torch.Tensor]]:
        return [(name, value) for name, value in self._router.named_parameters() if value.requires_grad]

    def take(self, step: int) -> None:
        """Moves towards the present weights, over a longer stretch the longer the run is."""
        share = max(0.004, 1 / (step / 5 + 2))
        with torch.no_grad():
            for name, value in self._trained():
                self.weights[name].lerp_(value, share)


class Run:
    """A run that can be stopped and taken up again."""

    def __init__(self, router: Router, reader: Reader, sampler: Sampler, settings: Settings, out: Path) -> None:
        router.freeze(settings.frozen)
        self._router, self._reader, self._sampler = router, reader, sampler
        self._settings, self._out = settings, out
        self._average = Average(router)
        self._optimizer = torch.optim.AdamW(self._parts(), betas=(0.9, 0.98))
        self._rates = [part["lr"] for part in self._optimizer.param_groups]
        self.step = 0
        if (out / STATE).exists():
            self._resume()

    def _parts(self) -> list[dict]:
        trained = [(name, value) for name, value in self._router.named_parameters() if value.requires_grad]
        rate = self._settings.rate
        head = [value for name, value in trained if not name.startswith("enc.")]
        products = [value for name, value in trained if name.startswith("enc.") and value.ndim > 1]
        rest = [value for name, value in trained if name.startswith("enc.") and value.ndim == 1]
        return [
            {"params": products, "lr": rate, "weight_decay": 0.01},
            {"params": rest, "lr": rate, "weight_decay": 0.0},
            {"params": head, "lr": rate * _HEAD_RATE, "weight_decay": 0.0},
        ]

    def _resume(self) -> None:
        state = torch.load(self._out / STATE, weights_only=True)
        self._router.load_state_dict(state["router"], strict=False)
        self._optimizer.load_state_dict(state["optimizer"])
        self._average.weights = state["average"]
        self.step = state["step"]
        for _ in range(self.step * self._settings.groups):  # the draws go on where they stopped
            self._sampler.group(self._settings.conversations)

    def save(self) -> None:
        """Writes the averaged weights, and what it takes to go on."""
        base.save(self._router, self._out / CHECKPOINT, self._average.weights)
        kept = {name: value for name, value in self._router.state_dict().items() if name != "enc.word.weight"}
        state = {
            "router": kept,
            "optimizer": self._optimizer.state_dict(),
            "average": self._average.weights,
            "step": self.step,
        }
        torch.save(state, self._out / f"{STATE}.partial")
        (self._out / f"{STATE}.partial").replace(self._out / STATE)

    def advance(self, done: float) -> dict[str, float]:
        """One step; `done` is the share of the run that lies behind."""
        settings = self._settings
        factor = min(1.0, (self.step + 1) / settings.warmup) * min(1.0, (1 - done) / settings.tail + 0.03)
        for part, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            part["lr"] = rate * factor
        groups = [self._sampler.group(settings.conversations) for _ in range(settings.groups)]
        loss, right = self._loss(groups)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._trained(), settings.clip)
        self._optimizer.step()
        self.step += 1
        self._average.take(self.step)
        return {"step": self.step, "loss": round(loss.item(), 4), "accuracy": round(right, 4), "rate": factor}

    def _among_strangers(self, groups: list[Group], read: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
        """The loss of telling a request's task from the tasks of the step's other routers that are not like it."""
        owner = torch.tensor([at for at, group in enumerate(groups) for _ in group.tasks], device=read.device)
        first = [0, *accumulate(len(group.tasks) for group in groups)]
        labels = [(at, group, label) for at, group in enumerate(groups) for label in group.labels]
        fits = [label < len(group.tasks) for _, group, label in labels]
        wanted = [first[at] + label for (at, _, label), matched in zip(labels, fits, strict=True) if matched]
        own = torch.tensor(wanted, dtype=torch.long, device=read.device)
        logits = self._router.log_s.exp() * (read[torch.tensor(fits, device=read.device)] @ tasks.T)
        with torch.no_grad():
            hidden = (owner[None] == owner[own][:, None]) | (tasks[own] @ tasks.T > _ALIKE)
            hidden[torch.arange(len(own)), own] = False
        return functional.cross_entropy(logits.masked_fill(hidden, -math.inf), own, reduction="sum")

    def _trained(self) -> list[torch.Tensor]:
        return [value for value in self._router.parameters() if value.requires_grad]

    def _loss(self, groups: list[Group]) -> tuple[torch.Tensor, float]:
        reader, router = self._reader, self._router
        tasks = router.tasks([reader.task(task) for group in groups for task in group.tasks])
        read = router.conversations([reader.conversation(talk) for group in groups for talk in group.conversations])
        loss, right, count = read.new_zeros(()), 0, len(read)
        if self._settings.strangers:
            loss = loss + self._settings.strangers * self._among_strangers(groups, read, tasks)
        for group in groups:
            labels = torch.tensor(group.labels, device=read.device)
            own, tasks = tasks[: len(group.tasks)], tasks[len(group.tasks) :]
            mine, read = read[: len(labels)], read[len(labels) :]
            logits = router.logits(mine, own)
            loss = loss + functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=_SMOOTHING)
            right += int((logits.argmax(1) == labels).sum())
        return loss / count, right / count


def task_vectors(router: Router, reader: Reader, sampler: Sampler) -> dict:
    """A vector for each task of the pools, to keep alike ones apart."""
    wordings = sampler.wordings()
    texts = [reader.task({"name": w.names[0], "description": w.descriptions[0]}) for w in wordings.values()]
    router.eval()
    with torch.no_grad():
        return dict(zip(wordings, router.tasks(texts).cpu().numpy(), strict=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", type=Path, required=True, help="the folder that fetch.py filled")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--half", action="store_true", help="compute in bfloat16")
    parser.add_argument("--init", type=Path, help="a checkpoint to go on from, in place of the base")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--save-every", type=float, default=4, metavar="MINUTES")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    return parser.parse_args()


def main() -> None:
    """Trains until the steps or the minutes are over, or until it is told to stop."""
    given = _arguments()
    torch.manual_seed(given.seed)
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    settings = Settings(**{name: getattr(given, name) for name in asdict(Settings())})
    router, reader = base.load(given.base / "e5-small-q4.bin", given.init), Reader(given.base / "tokenizer.json")
    router.to("cuda" if torch.cuda.is_available() else "cpu")
    router.half = given.half
    sampler = Sampler(given.data, settings.seed)
    sampler.compare_by(likeness_of(task_vectors(router, reader, sampler)))
    run = Run(router, reader, sampler, settings, given.out)
    stopped: list[int] = []
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda number, _: stopped.append(number))
    began = saved = time.monotonic()
    router.train()
    with (given.out / LOG).open("a", encoding="utf-8") as log:
        while not stopped and run.step < settings.steps and time.monotonic() - began < given.minutes * 60:
            done = max(run.step / settings.steps, (time.monotonic() - began) / 60 / given.minutes)
            print(json.dumps(run.advance(done)), file=log, flush=True)
            if time.monotonic() - saved > given.save_every * 60:
                run.save()
                saved = time.monotonic()
    run.save()
    print(f"{run.step} steps, {(time.monotonic() - began) / 60:.1f} minutes: {given.out / CHECKPOINT}")


if __name__ == "__main__":
    main()
