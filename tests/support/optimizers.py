"""Every optimizer but SGD with its options: all mixes of them are compared with PyTorch."""

import itertools

BOTH = [False, True]
DECAY = [0.0, 0.1]

OPTIONS = {
    "Adam": {
        "betas": [(0.9, 0.999), (0.4, 0.9)],
        "eps": [1e-3],
        "weight_decay": DECAY,
        "amsgrad": BOTH,
        "maximize": BOTH,
        "decoupled_weight_decay": BOTH,
    },
    "AdamW": {"betas": [(0.9, 0.999), (0.0, 0.0)], "weight_decay": DECAY, "amsgrad": BOTH, "maximize": BOTH},
    "RMSprop": {
        "alpha": [0.99, 0.4],
        "eps": [1e-3],
        "weight_decay": DECAY,
        "momentum": [0.0, 0.9],
        "centered": BOTH,
        "maximize": BOTH,
    },
    "Adagrad": {
        "lr_decay": [0.0, 0.1],
        "weight_decay": DECAY,
        "initial_accumulator_value": [0.0, 0.5],
        "eps": [1e-3],
        "maximize": BOTH,
    },
    "Adadelta": {"rho": [0.9, 0.4], "eps": [1e-3], "weight_decay": DECAY, "maximize": BOTH},
    "Adamax": {"betas": [(0.9, 0.999), (0.4, 0.9)], "eps": [1e-3], "weight_decay": DECAY, "maximize": BOTH},
    "NAdam": {
        "betas": [(0.9, 0.999), (0.4, 0.9)],
        "eps": [1e-3],
        "weight_decay": DECAY,
        "momentum_decay": [4e-3, 0.5],
        "decoupled_weight_decay": BOTH,
        "maximize": BOTH,
    },
    "RAdam": {
        "betas": [(0.9, 0.999), (0.4, 0.9)],
        "eps": [1e-3],
        "weight_decay": DECAY,
        "decoupled_weight_decay": BOTH,
        "maximize": BOTH,
    },
    "ASGD": {
        "lambd": [1e-4, 0.5],
        "alpha": [0.75, 2.0],
        "t0": [1e6, 10.5, 0],
        "weight_decay": DECAY,
        "maximize": BOTH,
    },
    "Adafactor": {
        "beta2_decay": [-0.8, -0.1],
        "eps": [(None, 1e-3), (1e-4, 2.0)],
        "d": [1.0, 1.5],
        "weight_decay": DECAY,
        "maximize": BOTH,
    },
    "Rprop": {"etas": [(0.5, 1.2), (0.1, 3.0)], "step_sizes": [(1e-6, 50.0), (1e-3, 0.002)], "maximize": BOTH},
}

STATE = {  # the arrays under PyTorch's names
    "Adam": {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    "AdamW": {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"},
    "RMSprop": {"m": "grad_avg", "v": "square_avg", "u": "momentum_buffer"},
    "Adagrad": {"v": "sum"},
    "Adadelta": {"v": "square_avg", "u": "acc_delta"},
    "Adamax": {"m": "exp_avg", "u": "exp_inf"},
    "NAdam": {"m": "exp_avg", "v": "exp_avg_sq", "mu_product": "mu_product"},
    "RAdam": {"m": "exp_avg", "v": "exp_avg_sq"},
    "ASGD": {"average": "ax"},
    "Adafactor": {"row_var": "row_var", "col_var": "col_var", "variance": "variance"},
    "Rprop": {"h": "prev", "d": "step_size"},
}


def mixes(kind):
    """Every mix of the options of an optimizer."""
    return [dict(zip(OPTIONS[kind], values, strict=True)) for values in itertools.product(*OPTIONS[kind].values())]
