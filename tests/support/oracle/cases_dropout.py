"""The cases of dropout where nothing is random: nothing is dropped, or everything."""

from support.oracle.table import add_layer

SHAPES = {
    "Dropout": (4, 3),
    "AlphaDropout": (4, 3),
    "Dropout1d": (2, 3, 4),
    "Dropout2d": (2, 3, 2, 2),
    "Dropout3d": (2, 3, 2, 1, 2),
    "FeatureAlphaDropout": (2, 3, 2, 1, 2),
}
for kind, shape in SHAPES.items():
    for p in 0.0, 1.0:
        add_layer(kind, (), shape, p=p)
