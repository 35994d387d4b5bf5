"""Cases of normalizations, in training and in evaluation mode, with their running statistics."""

import itertools

from support.oracle.table import CASES, add_layer


def add(kind, args, shape, **options):
    """A case in training mode, and one in evaluation mode after a forward in training mode."""
    add_layer(kind, args, shape, **options)
    name = next(reversed(CASES))
    CASES[f"{name} evaluation"] = CASES[name]._replace(evaluation=True)


def add_layers():
    shapes = {
        "BatchNorm1d": [(5, 3), (4, 3, 6)],
        "BatchNorm2d": [(4, 3, 2, 5)],
        "BatchNorm3d": [(2, 3, 2, 2, 3)],
        "InstanceNorm1d": [(4, 3, 6), (3, 7)],
        "InstanceNorm2d": [(4, 3, 2, 5), (3, 2, 5)],
        "InstanceNorm3d": [(2, 3, 2, 2, 3), (3, 2, 2, 3)],
    }
    for kind, of_kind in shapes.items():
        for shape, affine, tracks in itertools.product(of_kind, [True, False], [True, False]):
            add(kind, (3,), shape, affine=affine, track_running_stats=tracks)
        add(kind, (3,), of_kind[0], affine=True, bias=False, eps=0.1)
        for momentum in None, 0.3, 1.0:
            add(kind, (3,), of_kind[0], momentum=momentum, track_running_stats=True)
    for groups, shape in [(1, (4, 6)), (2, (4, 6)), (2, (4, 6, 5)), (3, (2, 6, 3, 2)), (6, (3, 6, 5)), (2, (1, 6, 4))]:
        for options in {}, {"affine": False}, {"bias": False, "eps": 0.1}:
            add_layer("GroupNorm", (groups, 6), shape, **options)
    for normalized, shape in [(5, (4, 5)), ((5,), (5,)), ((3, 2, 2), (4, 3, 2, 2)), (7, (3, 4, 7))]:
        for options in {}, {"elementwise_affine": False}, {"eps": 0.1}:
            add_layer("LayerNorm", (normalized,), shape, **options)
            add_layer("RMSNorm", (normalized,), shape, **options)
        add_layer("LayerNorm", (normalized,), shape, bias=False)
    for size, shape in [(1, (2, 3, 4)), (2, (2, 3, 4)), (3, (2, 5, 2, 2)), (4, (2, 5, 3)), (5, (2, 3, 2, 2, 2))]:
        add_layer("LocalResponseNorm", (size,), shape)
        add_layer("LocalResponseNorm", (size,), shape, scale=3.0, alpha=0.5, beta=1.5, k=2.0)


add_layers()
