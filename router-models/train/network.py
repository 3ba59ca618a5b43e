"""The encoder in torch: the same computation as the exported graph (`../export/graph.py`), with gradients.

Parameters have the names that the export reads, so a checkpoint is a state dict. The word rows are as published and are
never trained or stored.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_WIDTH = 32
WIDENING = 4
_MASKED = -1e4
_LEAST_GATE = 1e-3

Tokens = Sequence[int]
Read = tuple[Tokens, Tokens]
"""Token ids and types of a conversation."""


class Layer(nn.Module):
    """Self-attention and feed-forward, norms after each sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._heads = max(1, width // HEAD_WIDTH)
        self.qkv, self.o = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.f1, self.f2 = nn.Linear(width, WIDENING * width), nn.Linear(WIDENING * width, width)
        self.ln1, self.ln2 = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """States of a batch [rows, tokens, width]; the mask is added to attention's logits."""
        rows, tokens, width = states.shape
        query, key, value = self.qkv(states).view(rows, tokens, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        states = self.ln1(states + self.o(attended.transpose(1, 2).reshape(rows, tokens, width)))
        return self.ln2(states + self.f2(functional.gelu(self.f1(states))))


class Encoder(nn.Module):
    """Word, position and type rows, then layers, the lowest of which may be frozen."""

    def __init__(self, pieces: int, width: int, layers: int, positions: int) -> None:
        super().__init__()
        self.word, self.pos, self.typ = (nn.Embedding(count, width) for count in (pieces, positions, 2))
        self.ln = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.frozen = 0

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor) -> Tensor:
        """Last states of padded sequences."""
        added = None if bool(mask.all()) else (1.0 - mask[:, None, None, :].float()) * _MASKED
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            positions = torch.arange(ids.shape[1], device=ids.device)[None]
            states = self.ln(self.word(ids) + self.pos(positions) + self.typ(types))
            for layer in self.layers[: self.frozen]:
                states = layer(states, added)
        for layer in self.layers[self.frozen :]:
            states = layer(states, added)
        return states


class Router(nn.Module):
    """Conversations and tasks as unit vectors; the logit of a task is scale × their product, *none* has its own."""

    def __init__(self, encoder: Encoder, chunk: int = 640) -> None:
        super().__init__()
        width = encoder.word.embedding_dim
        self.enc = encoder
        self.log_s, self.tau = nn.Parameter(torch.tensor([math.log(20.0)])), nn.Parameter(torch.tensor([0.12]))
        self.gate = nn.Parameter(torch.tensor([0.3]))
        self.w, self.qa = nn.Linear(width, 1, bias=False), nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.w.weight)
        nn.init.zeros_(self.qa.weight)
        self.mu = nn.Parameter(torch.zeros(width), requires_grad=False)
        self.half = False
        """Whether the encoder computes in bfloat16."""
        self._chunk = chunk

    def freeze(self, layers: int) -> None:
        """Keeps what is below and in the lowest layers as it is."""
        self.enc.frozen = layers
        kept = [self.enc.word, self.enc.pos, self.enc.typ, self.enc.ln, *self.enc.layers[:layers]]
        for module in kept:
            module.requires_grad_(False)

    def conversations(self, read: Sequence[Read]) -> Tensor:
        """Vectors of conversations, pooled by learned attention in which earlier turns are gated."""
        gate = torch.log(self.gate.clamp(min=_LEAST_GATE))
        pooled = []
        for states, (_, types) in zip(self._states(read), read, strict=True):
            earlier = torch.tensor(types, device=states.device)
            share = torch.softmax(self.qa(states)[:, 0] + earlier * gate, 0)
            pooled.append(share @ states)
        return self._unit(pooled)

    def tasks(self, read: Sequence[Tokens]) -> Tensor:
        """Vectors of tasks' texts, which are plain means."""
        return self._unit([states.mean(0) for states in self._states([(ids, [0] * len(ids)) for ids in read])])

    def logits(self, conversations: Tensor, tasks: Tensor) -> Tensor:
        """A row for each conversation: its logits for the tasks, then for *none*."""
        scale = self.log_s.exp()
        return torch.cat([scale * (conversations @ tasks.T), scale * (self.tau + self.w(conversations))], 1)

    def _unit(self, pooled: list[Tensor]) -> Tensor:
        return functional.normalize(torch.stack(pooled) - self.mu, dim=-1)

    def _states(self, read: Sequence[Read]) -> list[Tensor]:
        """Last states of sequences of any length, in chunks of like lengths: matrix products are fastest so."""
        found: dict[int, Tensor] = {}
        device = self.mu.device
        for chunk in _chunks([len(ids) for ids, _ in read], self._chunk):
            ids, types = (_padded([read[at][part] for at in chunk]).to(device) for part in (0, 1))
            lengths = torch.tensor([len(read[at][0]) for at in chunk], device=device)
            mask = torch.arange(ids.shape[1], device=device)[None] < lengths[:, None]
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.half):
                states = self.enc(ids, types, mask)
            states = states.float()
            found.update({at: states[row, : len(read[at][0])] for row, at in enumerate(chunk)})
        return [found[at] for at in range(len(read))]


def _padded(rows: list[Tokens]) -> Tensor:
    padded = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for at, row in enumerate(rows):
        padded[at, : len(row)] = torch.tensor(row)
    return padded


def _chunks(lengths: list[int], most: int) -> Iterator[list[int]]:
    chunk: list[int] = []
    for at in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        if chunk and lengths[chunk[0]] * (len(chunk) + 1) > most:
            yield chunk
            chunk = []
        chunk.append(at)
    if chunk:
        yield chunk
