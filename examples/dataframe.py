"""Classify flowers from a pandas frame with bool, nullable, category and text columns. It needs pandas.

Run it with:  python examples/dataframe.py [--seed N]
"""

import argparse

import numpy as np
import pandas as pd

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the flowers, the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

# A flower of each species has its own size; colour and place are only a hint. Some heights were not measured.
species = pd.Series(rng.choice(["daisy", "poppy", "rose"], 600), name="species")
number = species.map({"daisy": 0, "poppy": 1, "rose": 2}).to_numpy()
flowers = pd.DataFrame({"petals": pd.array(rng.poisson(5 + 6 * number), dtype="Int64")})
flowers["height"] = pd.Series(rng.normal(20 + 15 * number, 6)).mask(rng.random(600) < 0.1)
flowers["thorns"] = (species == "rose") & (rng.random(600) < 0.9)
flowers["colour"] = pd.Categorical(np.where(rng.random(600) < 0.7, "red", "white"))
flowers["place"] = np.where(rng.random(600) < 0.3 + 0.2 * number, "garden", "meadow")

# Numbers for text and categories, a mean for what is missing; standardized by the first 450 rows, which are trained on.
X = pd.get_dummies(flowers.fillna({"height": flowers["height"][:450].mean()})).astype(float)
X = (X - X[:450].mean()) / X[:450].std()
classes, Y = np.unique(species, return_inverse=True)

model = nn.Sequential(nn.Linear(X.shape[1], 16, rng=rng), nn.Tanh(), nn.Linear(16, 3, rng=rng))
loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(model, lr=0.05, momentum=0.9)
nn.fit(model, X[:450], Y[:450], loss=loss, optimizer=optimizer, epochs=20, metrics=[nn.accuracy], rng=rng)

print("\nThe 150 other flowers, a row for each true species, a column for each predicted one:")
confusion = nn.confusion_matrix(nn.predict(model, X[450:]), Y[450:])
print(pd.DataFrame(confusion, index=classes, columns=classes))
print(f"accuracy: {nn.accuracy(nn.predict(model, X[450:]), Y[450:]):.3f}")
