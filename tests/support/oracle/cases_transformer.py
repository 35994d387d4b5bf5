"""Cases of transformers and their layers, which have PyTorch's names for their parts: options and masks."""

import numpy as np
from support.oracle.table import CASES, Case, draw, name_of, seed

KINDS = [f"Transformer{part}" for part in ("EncoderLayer", "DecoderLayer", "Encoder", "Decoder", "")]
PADDING, MEMORY_PADDING = np.arange(4) >= np.array([[4], [2], [3]]), np.arange(3) >= np.array([[1], [3], [2]])
FUTURE = np.triu(np.ones((4, 4), bool), 1)
NOT_ALL = np.arange(12).reshape(4, 3) % 5 == 2


def transformer(library, norm, kind, *args, dtype=None, **options):
    """The layer or module in nnlite or in ``torch.nn``; the sizes of a stack end with the number of its layers.

    Args:
        library: its namespace.
        norm: makes the last normalization of a stack.
        kind: the class.
        args: sizes.
        dtype: of the parameters; by default the library's.
        options: of the layers, and "more" of the stack.
    """
    more = options.pop("more", {})
    options = {"dropout": 0.0} | options | ({} if dtype is None else {"dtype": dtype})
    if not kind.endswith("coder"):
        return getattr(library, kind)(*args, **options)
    *sizes, count = args
    return getattr(library, kind)(getattr(library, f"{kind}Layer")(*sizes, **options), count, norm(sizes[0]), **more)


def values_of(case, name, shape):
    """The numbers of a parameter, by its name in PyTorch."""
    return draw(seed(f"{case} {name}"), shape, scale=0.3)


def add(kind, *args, masks=(), label="", **options):
    name = name_of(kind, *args, *filter(None, [label]), **options)
    X, memory = draw(seed(f"{name} X"), (3, 4, 4)), draw(seed(f"{name} memory"), (3, 3, 4))
    Xs = {"Transformer": (memory, X)}.get(kind, (X, memory) if "Decoder" in kind else (X,))
    CASES[name] = Case(kind, args, options, (*Xs, *masks) if masks or len(Xs) > 1 else X)


for options in {}, {"activation": "gelu", "norm_first": True}, {"bias": False, "layer_norm_eps": 0.01}:
    add("TransformerEncoderLayer", 4, 2, 6, **options)
    add("TransformerEncoderLayer", 4, 2, 6, masks=(FUTURE, PADDING), label="masks", **options)
    add("TransformerDecoderLayer", 4, 2, 6, **options)
    masks = FUTURE, NOT_ALL, PADDING, MEMORY_PADDING
    add("TransformerDecoderLayer", 4, 2, 6, masks=masks, label="masks", **options)
add("TransformerEncoder", 4, 2, 6, 2, norm_first=True)
add("TransformerEncoder", 4, 1, 6, 2, masks=(None, PADDING), label="padding")
add("TransformerDecoder", 4, 2, 6, 2, norm_first=True)
add("TransformerDecoder", 4, 1, 6, 2, masks=(FUTURE, None, None, MEMORY_PADDING), label="masks")
add("Transformer", 4, 2, 1, 1, 6)
add("Transformer", 4, 2, 2, 1, 6, masks=(None, FUTURE, NOT_ALL, MEMORY_PADDING, PADDING, MEMORY_PADDING), label="masks")
