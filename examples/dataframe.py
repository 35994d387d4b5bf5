"""Classify penguins from a CSV file with bool, nullable, category and text columns. It needs pandas.

Run it with:  python examples/dataframe.py [--seed N]
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the split, the initial weights and the order of the rows")
rng = np.random.default_rng(parser.parse_args().seed)

# 344 penguins: text, bool, numbers, and some values that are missing.
dtypes = {"island": "category", "flipper_length": "Int64", "body_mass": "Int64"}
penguins = pd.read_csv(Path(__file__).parent / "data" / "penguins.csv.gz", dtype=dtypes)

# The labels, a Series of text, become numbers: classes[i] is the name of class i.
classes, Y = np.unique(penguins.pop("species"), return_inverse=True)

# A column of 0 and 1 for each category or text; a missing text has 0 in all of its columns.
X = pd.get_dummies(penguins).astype(float)

# Mean 0 and standard deviation 1 from the training rows alone; then the mean, 0, for what is missing.
test, training = np.split(rng.permutation(len(X)), [86])
X = ((X - X.iloc[training].mean()) / X.iloc[training].std()).fillna(0)

model = nn.Sequential(nn.Linear(X.shape[1], 8, rng=rng), nn.Tanh(), nn.Linear(8, len(classes), rng=rng))
loss, optimizer = nn.CrossEntropyLoss(), nn.SGD(model, lr=0.05, momentum=0.9)
nn.fit(model, X.iloc[training], Y[training], loss=loss, optimizer=optimizer, epochs=10, metrics=[nn.accuracy], rng=rng)

logits = nn.predict(model, X.iloc[test])  # an error if X has other columns than in training
print(f"\n{len(test)} other penguins, a row for each true species and a column for each predicted one:")
print(pd.DataFrame(nn.confusion_matrix(logits, Y[test]), index=classes, columns=classes))
print(f"accuracy: {nn.accuracy(logits, Y[test]):.3f}; the first is predicted as {classes[logits[0].argmax()]}")
