"""Cases of attention: every option and mask, K and V left out; and of what tells it the positions."""

import numpy as np
from support.oracle.table import CASES, Case, draw, name_of, seed

N, T, S, E = 3, 4, 5, 6


def add(kind, args, shapes, masks=(), label="", **options):
    """A case with inputs of these shapes and these masks behind them."""
    name = name_of(kind, args, *shapes, *[label] * bool(label), **options)
    Xs = [draw(seed(f"{name} {n}"), shape, scale=0.3) for n, shape in enumerate(shapes)]
    Xs += [None] * (3 - len(Xs)) * bool(masks) + [*masks]
    CASES[name] = Case(kind, args, options, tuple(Xs) if len(Xs) > 1 else Xs[0])


def hidden(*shape):
    """A mask of booleans that are True at about a third, but not at the first key."""
    mask = seed(str(shape)).random(shape) < 0.35
    mask[..., 0] = False
    return mask


def added(*shape):
    """A mask of numbers, of which some are -inf."""
    return np.where(hidden(*shape), -np.inf, draw(seed(f"added {shape}"), shape))


padding = np.arange(S) >= np.array([5, 2, 3])[:, None]
for args, options in [
    ((E, 2), {}),
    ((E, 1), {"bias": False}),
    ((E, 3), {"kdim": 2, "vdim": 4}),
    ((E, 2), {"kdim": 2, "vdim": 4, "bias": False}),
    ((E, 2), {"need_weights": True}),
    ((E, 2), {"need_weights": True, "average_attn_weights": False}),
]:
    shapes = (N, T, E), (N, S, options.get("kdim", E)), (N, S, options.get("vdim", E))
    add("MultiheadAttention", args, shapes, **options)
    add("MultiheadAttention", args, shapes, (padding, hidden(T, S)), "both", **options)
    if "kdim" not in options:
        add("MultiheadAttention", args, shapes[:1], **options)
        add("MultiheadAttention", args, shapes[:2], **options)
        add("MultiheadAttention", args, shapes[:1], (padding[:, :T], None), "padding", causal=True, **options)
for label, masks in {
    "padding": (padding, None),
    "mask": (None, hidden(T, S)),
    "mask of heads": (None, hidden(N * 2, T, S)),
    "numbers": (None, added(T, S)),
    "numbers of heads": (None, added(N * 2, T, S)),
    "numbers of both": (added(N, S), added(T, S)),
}.items():
    add("MultiheadAttention", (E, 2), [(N, T, E), (N, S, E), (N, S, E)], masks, label, need_weights=True)
add("MultiheadAttention", (E, 2), [(N, T, E), (N, S, E)], causal=True)

one = (N, T, 4), (N, S, 4), (N, S, 3)
nobody = hidden(T, S)
nobody[1] = True
for options in {}, {"scale": 0.3}:
    add("ScaledDotProductAttention", (), one, **options)
    add("ScaledDotProductAttention", (), one, causal=True, **options)
    add("ScaledDotProductAttention", (), [shape[1:] for shape in one], **options)
    add("ScaledDotProductAttention", (), [(N, 2, T, 4), (1, 2, S, 4), (N, 1, S, 3)], **options)
    add("ScaledDotProductAttention", (), one, [~hidden(T, S)], "mask", **options)
    add("ScaledDotProductAttention", (), one, [~hidden(N, T, S)], "mask of samples", **options)
    add("ScaledDotProductAttention", (), one, [~nobody], "nothing seen", **options)
    add("ScaledDotProductAttention", (), one, [added(T, S)], "numbers", **options)
add("ScaledDotProductAttention", (), [(N, T, 4), (N, 2, 4), (N, 2, 3)], causal=True)

for kind in "PositionalEncoding", "RotaryEmbedding":
    for shape in (T, E), (N, T, E), (N, 2, T, E):
        add(kind, (), [shape])
    add(kind, (50.0,), [(N, T, E)], offset=7)
add("RotaryEmbedding", (), [(N, T, E)], interleaved=False)
