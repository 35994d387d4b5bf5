"""Rows of the contract table: normalizations."""

import numpy as np
from support.contract_row import Row, numbers

import nnlite as nn


def filled(make, *args, **options):
    """A layer in float64 with parameters and running statistics other than the first ones."""

    def new(**more):
        layer = make(*args, **options, **more).astype(np.float64)
        for name, P in layer.named_parameters():
            P[...] = numbers(*P.shape) + (name == "gamma")
        if getattr(layer, "running_mean", None) is not None:
            layer.running_mean, layer.running_var = [0.3, -0.1, 0.2], [0.5, 2.0, 1.5]
            layer.num_batches_tracked = 7
        return layer

    return new


def evaluating(make):
    return lambda: make().eval()


ROWS = [
    *(
        Row(f"{make.__name__}{label}", filled(make, 3, **options), numbers(*shape), rows_apart=False)
        for make, label, shape, options in [
            (nn.BatchNorm1d, "", (4, 3), {}),
            (nn.BatchNorm1d, "-of-three-axes", (4, 3, 2), {}),
            (nn.BatchNorm1d, "-of-300-rows", (300, 3), {"momentum": None}),
            (nn.BatchNorm1d, "-without-beta", (4, 3), {"bias": False}),
            (nn.BatchNorm1d, "-not-affine", (4, 3), {"affine": False, "momentum": None, "eps": 0.1}),
            (nn.BatchNorm1d, "-not-tracking", (4, 3), {"track_running_stats": False}),
            (nn.BatchNorm2d, "", (4, 3, 2, 2), {}),
            (nn.BatchNorm3d, "", (2, 3, 2, 1, 2), {}),
        ]
    ),
    *(
        Row(f"{make.__name__}-evaluation{label}", evaluating(filled(make, 3, **options)), numbers(*shape))
        for make, label, shape, options in [
            (nn.BatchNorm1d, "", (4, 3), {}),
            (nn.BatchNorm1d, "-of-three-axes", (4, 3, 2), {"bias": False}),
            (nn.BatchNorm2d, "", (4, 3, 2, 2), {}),
            (nn.BatchNorm3d, "", (2, 3, 2, 1, 2), {}),
            (nn.InstanceNorm1d, "", (4, 3, 2), {"track_running_stats": True, "affine": True}),
        ]
    ),
    Row(
        "BatchNorm1d-evaluation-not-tracking",
        evaluating(filled(nn.BatchNorm1d, 3, track_running_stats=False)),
        numbers(4, 3),
        rows_apart=False,
    ),
    *(
        Row(f"{make.__name__}{label}", filled(make, 3, **options), numbers(*shape), None, *(len(shape) > axes,) * 2)
        for make, axes, label, shape, options in [
            (nn.InstanceNorm1d, 2, "", (4, 3, 5), {}),
            (nn.InstanceNorm1d, 2, "-affine", (4, 3, 5), {"affine": True, "eps": 0.1}),
            (nn.InstanceNorm1d, 2, "-tracking", (4, 3, 5), {"affine": True, "track_running_stats": True}),
            (nn.InstanceNorm1d, 2, "-of-one-sample", (3, 5), {"affine": True}),
            (nn.InstanceNorm2d, 3, "", (4, 3, 2, 3), {}),
            (nn.InstanceNorm3d, 4, "", (2, 3, 2, 2, 2), {}),
        ]
    ),
    Row("GroupNorm", filled(nn.GroupNorm, 2, 6), numbers(4, 6, 3)),
    Row("GroupNorm-of-rows", filled(nn.GroupNorm, 2, 6), numbers(4, 6)),
    Row("GroupNorm-of-four-axes", filled(nn.GroupNorm, 3, 6, bias=False), numbers(4, 6, 2, 2)),
    Row("GroupNorm-not-affine", filled(nn.GroupNorm, 1, 4, affine=False, eps=0.1), numbers(4, 4, 2)),
    Row("LayerNorm", filled(nn.LayerNorm, 5), numbers(4, 5)),
    Row("LayerNorm-of-two-axes", filled(nn.LayerNorm, (3, 2)), numbers(4, 3, 2)),
    Row("LayerNorm-of-rows-in-three-axes", filled(nn.LayerNorm, 3, eps=0.1, bias=False), numbers(4, 2, 3)),
    Row("LayerNorm-of-one-sample", filled(nn.LayerNorm, 5, elementwise_affine=False), numbers(5), rows_apart=False),
    Row("RMSNorm", filled(nn.RMSNorm, 5), numbers(4, 5)),
    Row("RMSNorm-of-two-axes", filled(nn.RMSNorm, (3, 2), eps=0.1), numbers(4, 3, 2)),
    Row("RMSNorm-not-affine", filled(nn.RMSNorm, 3, elementwise_affine=False), numbers(4, 2, 3)),
    Row("LocalResponseNorm", lambda: nn.LocalResponseNorm(3, alpha=2.0), numbers(4, 5, 2)),
    Row("LocalResponseNorm-even", lambda: nn.LocalResponseNorm(4, 1.5, 1.25, 2.0), numbers(4, 5, 2, 2)),
    Row("LocalResponseNorm-of-few-channels", lambda: nn.LocalResponseNorm(9, alpha=3.0), numbers(4, 2, 3)),
]
