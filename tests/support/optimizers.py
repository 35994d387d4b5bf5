"""Every optimizer but SGD with its options: all mixes of them are compared with PyTorch."""

import itertools

BOTH = [False, True]
DECAY = [0.0, 0.1]

OPTIONS = {
    "Adam": {
        "betas": [(0.9, 0.999), (0.4, 0.9)],
        "eps": [1e-8, 0.1],
        "weight_decay": DECAY,
        "amsgrad": BOTH,
        "maximize": BOTH,
        "decoupled_weight_decay": BOTH,
    },
    "AdamW": {"betas": [(0.9, 0.999), (0.0, 0.0)], "weight_decay": DECAY, "amsgrad": BOTH, "maximize": BOTH},
}

STATE = {  # the arrays under PyTorch's names
    "Adam": {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    "AdamW": {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
}


def mixes(kind):
    """Every mix of the options of an optimizer."""
    return [dict(zip(OPTIONS[kind], values, strict=True)) for values in itertools.product(*OPTIONS[kind].values())]
