"""Attention of packed rows by plain products, every head gathered straight to where the products read it.

One gather takes each of queries, keys and values from the joined projection `[T, 3H]` to `[B, N, S, D]`, so
that nothing is split, transposed or copied twice. For the first token's row alone, keys and values are never
made: with `q·(W h) = (Wᵀ q)·h` and `Σ p (W h) = W Σ p h` the products run over the hidden rows themselves,
and the keys' bias, the same for every token, cancels in the softmax. Both are exact.
"""

import numpy as np

from features.columns import Floats
from training.export.graph import MICROSOFT, Graph

CLOSED = -1e4
"""Added to the logit of a cell without a token: its share is 0 in float32."""
HEADS = "heads.query"
"""The constant int32[N, 1] that tells a reader of the graph how many heads there are."""

Dense = tuple[Floats, Floats]


def lay_out(graph: Graph, heads: int) -> None:
    """What every layer reads, from the graph's inputs; once a graph.

    - `at.query`, `at.key`, `at.value` `[B, N, S]`: rows of `[T · 3N, D]`;
    - `at.back` `[T, N]`: rows of `[B · N · S, D]`;
    - `open` `[B, 1, S]` and `open.heads` `[B, 1, 1, S]`: 0, or `CLOSED` in cells without a token.
    """
    first, second = graph.constant("one", np.array([1])), graph.constant("zero", np.array([0]))
    rows = graph.add("Mul", graph.add("Unsqueeze", "gidx", first), number(graph, "parts", 3 * heads))
    for part, name in enumerate(("query", "key", "value")):
        offsets = np.arange(heads, dtype=np.int32)[:, None] + part * heads
        graph.add("Add", rows, graph.constant(f"heads.{name}", offsets), to=f"at.{name}")
    width = graph.add("CastLike", graph.add("Shape", "gidx", start=1, end=2), "gidx", to="width")
    row = graph.add("Div", "fidx", width)
    others = graph.add("Mul", width, number(graph, "other.heads", heads - 1))
    start = graph.add("Unsqueeze", graph.add("Add", "fidx", graph.add("Mul", row, others)), first)
    steps = graph.add("Mul", width, graph.constant("heads", np.arange(heads, dtype=np.int32)))
    graph.add("Add", start, steps, to="at.back")
    end = graph.add("Squeeze", width, second)
    columns = graph.add("Range", number(graph, "from.int", 0), end, number(graph, "step.int", 1))
    real = graph.add("Less", columns, graph.add("Unsqueeze", "lengths", first))
    values = [graph.constant(f"{name}.value", np.array(v, np.float32)) for name, v in STATES.items()]
    graph.add("Unsqueeze", graph.add("Where", real, *values), first, to="open")
    graph.add("Unsqueeze", "open", first, to="open.heads")


STATES = {"open": 0.0, "closed": CLOSED}


def number(graph: Graph, name: str, value: int) -> str:
    """A constant whole number, int32."""
    return graph.constant(name, np.array(value, np.int32))


def attend_all(graph: Graph, joined: str, hidden: int, heads: int) -> str:
    """`[T, H]`: every token's row over its own pair; `joined[T, 3H]` holds queries, keys and values."""
    size = hidden // heads
    single = graph.constant("head", np.array([-1, size]))
    rows = graph.add("Reshape", joined, single)
    query, key, value = (graph.add("Gather", rows, f"at.{part}") for part in ("query", "key", "value"))
    logits = graph.add("FusedMatMul", query, key, domain=MICROSOFT, transB=1, alpha=size**-0.5)
    shares = graph.add("Softmax", graph.add("Add", logits, "open.heads"), axis=-1)
    mixed = graph.add("Reshape", graph.add("MatMul", shares, value), single)
    whole = graph.constant("rows", np.array([-1, hidden]))
    return graph.add("Reshape", graph.add("Gather", mixed, "at.back"), whole)


def attend_first(graph: Graph, at: str, query: str, hidden: str, key: Dense, value: Dense, heads: int) -> str:
    """`[B, H]`: one row a pair, `query[B, H]`, over the pair's rows of `hidden[T, H]`.

    A pair is a product of its own throughout, so that its result does not depend on how many there are.
    """
    wide = len(key[0])
    size = wide // heads
    keys = np.ascontiguousarray(key[0].reshape(wide, heads, size).transpose(1, 2, 0))
    values = np.ascontiguousarray(value[0].reshape(wide, heads, size).transpose(1, 0, 2))
    rows = graph.add("Gather", hidden, "gidx")
    lone = graph.add("Reshape", query, graph.constant("lone.heads", np.array([-1, heads, 1, size])))
    asked = graph.add("MatMul", lone, graph.constant(f"{at}.key.heads", keys))
    asked = graph.add("Reshape", asked, graph.constant("pair.heads", np.array([-1, heads, wide])))
    logits = graph.add("FusedMatMul", asked, rows, domain=MICROSOFT, transB=1, alpha=size**-0.5)
    shares = graph.add("Softmax", graph.add("Add", logits, "open"), axis=-1)
    mixed = graph.add("MatMul", shares, rows)
    mixed = graph.add("Reshape", mixed, graph.constant("lone.rows", np.array([-1, heads, 1, wide])))
    found = graph.add("MatMul", mixed, graph.constant(f"{at}.value.heads", values))
    whole = graph.constant("rows", np.array([-1, wide]))
    bias = graph.constant(f"{at}.value.bias", value[1])
    return graph.add("Add", graph.add("Reshape", found, whole), bias)
