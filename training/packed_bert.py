"""BERT for sequence classification over packed tokens: what trains is laid out like what serves.

Linear layers see the concatenated tokens of a batch, `[T, H]`, without padding; attention alone gathers them
to `[B, S]` and back; the last layer is computed for the classification tokens only. The parameters carry the
names of Hugging Face's `BertForSequenceClassification`, so that a checkpoint goes either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from features.errors import InvalidInput
from features.transformer.packed import Ids
from training.export.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Packed:
    """A batch of B pairs, T tokens together, the longest of S tokens.

    Attributes:
        ids, types, positions: int64[T].
        rows: int64[B, S], the token at each padded place (0 where there is none).
        mask: bool[B, S], True at a token.
        back: int64[T], the padded place `b * S + s` of each token.
        first: int64[B], the token that stands for the pair ([CLS]).
    """

    ids: Tensor
    types: Tensor
    positions: Tensor
    rows: Tensor
    mask: Tensor
    back: Tensor
    first: Tensor

    def to(self, device: torch.device) -> "Packed":
        """The same on a device."""
        if device.type == "cpu":
            return self
        return Packed(*(getattr(self, name).to(device) for name in self.__slots__))


def pack(pairs: Sequence[tuple[Sequence[int] | Ids, int]]) -> Packed:
    """Packs (ids of a pair, length of its first segment) tuples."""
    lengths = np.array([len(ids) for ids, _ in pairs])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    total, longest = int(lengths.sum()), int(lengths.max())
    places = np.arange(total) - np.repeat(starts, lengths)
    owner = np.repeat(np.arange(len(pairs)), lengths)
    first_segment = np.repeat([segment for _, segment in pairs], lengths)
    grid = starts[:, None] + np.arange(longest)
    mask = np.arange(longest) < lengths[:, None]
    arrays = (
        np.concatenate([np.asarray(ids, np.int64) for ids, _ in pairs]),
        (places >= first_segment).astype(np.int64),
        places,
        np.where(mask, grid, 0),
        mask,
        owner * longest + places,
        starts,
    )
    return Packed(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


class Layer(nn.Module):
    """One encoder layer."""

    def __init__(self, hidden: int, intermediate: int, heads: int, epsilon: float) -> None:
        super().__init__()
        attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict(
                    {name: nn.Linear(hidden, hidden) for name in ("query", "key", "value")}
                ),
                "output": nn.ModuleDict(
                    {"dense": nn.Linear(hidden, hidden), "LayerNorm": nn.LayerNorm(hidden, epsilon)}
                ),
            }
        )
        self.attention = attention
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, intermediate)})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(intermediate, hidden), "LayerNorm": nn.LayerNorm(hidden, epsilon)}
        )
        self.heads = heads

    def forward(self, x: Tensor, batch: Packed, last: bool) -> Tensor:
        """float[T, H] in, and out; float[B, H] out of the last layer."""
        parts: Any = self.attention["self"]
        asking = x[batch.first] if last else x
        query = self._heads(parts["query"](asking), batch, single=last)
        key, value = (self._heads(parts[name](x), batch) for name in ("key", "value"))
        seen = attend(query, key, value, batch.mask)
        flat = seen.transpose(1, 2).flatten(0, 1).flatten(1)
        flat = flat if last else flat[batch.back]
        out: Any = self.attention["output"]
        x = out["LayerNorm"](out["dense"](flat) + asking)
        end: Any = self.output
        normed: Tensor = end["LayerNorm"](end["dense"](gelu(self.intermediate["dense"](x))) + x)
        return normed

    def _heads(self, x: Tensor, batch: Packed, single: bool = False) -> Tensor:
        padded = x[:, None] if single else x[batch.rows]
        return padded.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention `[B, heads, S, d]`. On a CPU it is written out: torch's fused kernel trains 1.4 times
    slower there."""
    seen = mask[:, None, None, :]
    if query.is_cuda:
        return scaled_dot_product_attention(query, key, value, attn_mask=seen)
    logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    weights = logits.masked_fill(~seen, -1e4).softmax(-1)
    return weights.to(value.dtype) @ value


class PackedBert(nn.Module):
    """BERT with a pooler and one logit; `forward` gives float[B]."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        hidden, epsilon = config["hidden_size"], config.get("layer_norm_eps", 1e-12)
        self.config = config
        self.bert = nn.ModuleDict(
            {
                "embeddings": nn.ModuleDict(
                    {
                        "word_embeddings": nn.Embedding(config["vocab_size"], hidden),
                        "position_embeddings": nn.Embedding(config["max_position_embeddings"], hidden),
                        "token_type_embeddings": nn.Embedding(config["type_vocab_size"], hidden),
                        "LayerNorm": nn.LayerNorm(hidden, epsilon),
                    }
                ),
                "encoder": nn.ModuleDict(
                    {
                        "layer": nn.ModuleList(
                            Layer(hidden, config["intermediate_size"], config["num_attention_heads"], epsilon)
                            for _ in range(config["num_hidden_layers"])
                        )
                    }
                ),
                "pooler": nn.ModuleDict({"dense": nn.Linear(hidden, hidden)}),
            }
        )
        self.classifier = nn.Linear(hidden, 1)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, batch: Packed) -> Tensor:
        """float[B]: the pairs' logits."""
        x = self.hidden(batch)
        pooler: Any = self.bert["pooler"]
        logits: Tensor = self.classifier(torch.tanh(pooler["dense"](x)))[:, 0]
        return logits.float()

    def hidden(self, batch: Packed, whole: bool = False) -> Tensor:
        """The last layer's vectors: float[B, H] of the classification tokens, or float[T, H] of all."""
        table: Any = self.bert["embeddings"]
        x = table["LayerNorm"](
            table["word_embeddings"](batch.ids)
            + table["position_embeddings"](batch.positions)
            + table["token_type_embeddings"](batch.types)
        )
        encoder: Any = self.bert["encoder"]
        layers = encoder["layer"]
        for position, layer in enumerate(layers):
            x = layer(x, batch, last=position == len(layers) - 1 and not whole)
        return x


def model_of(checkpoint: Checkpoint, seed: int = 0) -> PackedBert:
    """The model of a checkpoint; a head that the checkpoint lacks starts at random, from the seed.

    Raises:
        InvalidInput: for another architecture, or a tensor of the encoder that is missing.
    """
    family = checkpoint.config.get("model_type")
    if family != "bert":
        raise InvalidInput(f"is a {family!r} model where bert is fine-tuned", path="config.json: model_type")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PackedBert(dict(checkpoint.config))
    own = model.state_dict()
    for name, initial in own.items():
        source = next((key for key in (name, name.removeprefix("bert.")) if key in checkpoint.tensors), None)
        if source is not None:
            own[name] = torch.from_numpy(checkpoint.tensor(source, tuple(initial.shape)).copy())
        elif "pooler" not in name and "classifier" not in name:
            raise InvalidInput("the checkpoint has no such tensor", path=name)
    model.load_state_dict(own)
    return model


def as_checkpoint(model: PackedBert, like: Checkpoint) -> Checkpoint:
    """The model's present weights, with the tokenizer of the checkpoint that it began as."""
    config = {
        **model.config,
        "architectures": ["BertForSequenceClassification"],
        "num_labels": 1,
        "pooler": True,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
    }
    tensors = {name: tensor.detach().float().cpu().numpy() for name, tensor in model.state_dict().items()}
    return Checkpoint(config, tensors, like.tokenizer)


def tokenizer_of(checkpoint: Checkpoint) -> Tokenizer:
    """The checkpoint's tokenizer, which neither pads nor truncates."""
    tokenizer = Tokenizer.from_str(checkpoint.tokenizer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
