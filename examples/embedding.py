"""Sentences of words: is the film liked? A bag of words does not see their order, an embedding of each word does.

Run it with:  python examples/embedding.py [--seed N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the sentences and the initial weights")
rng = np.random.default_rng(parser.parse_args().seed)

GOOD, BAD = ["good", "great", "lovely", "brilliant", "funny"], ["bad", "poor", "awful", "boring", "dull"]
LENGTH = 8


def clause(topic, liked):
    """For example "film was not dull"; a negated word has the opposite meaning."""
    negated = rng.random() < 0.4
    return [topic, "was", *["not"] * negated, str(rng.choice(GOOD if liked != negated else BAD))]


def sentence():
    """Two clauses, one about the film, and whether that one is liked."""
    liked, other = rng.random(2) < 0.5
    clauses = clause("film", liked), clause(str(rng.choice(["music", "plot", "acting"])), other)
    first, second = clauses if rng.random() < 0.5 else clauses[::-1]
    return [*first, *second], liked


sentences, labels = zip(*[sentence() for _ in range(4000)], strict=True)
words = ["-", *sorted({word for each in sentences for word in each})]  # index 0 is padding, for short sentences
number = {word: index for index, word in enumerate(words)}
X = np.array([[number[word] for word in each] + [0] * (LENGTH - len(each)) for each in sentences])
Y = np.array(labels)[:, None]
print(f'{len(words)} words; "{" ".join(sentences[0])}" is {X[0].tolist()}: {"liked" if Y[0] else "not liked"}')

bag = nn.Sequential(nn.EmbeddingBag(len(words), 8, mode="sum", padding_idx=0, rng=rng), nn.Linear(8, 1, rng=rng))
small = nn.initializers.normal(std=0.1)  # so that what is learned outweighs what was drawn
embedding = nn.Embedding(len(words), 8, padding_idx=0, weight_init=small, rng=rng)
in_order = nn.Sequential(
    embedding, nn.Flatten(), nn.Linear(LENGTH * 8, 32, rng=rng), nn.Tanh(), nn.Linear(32, 1, rng=rng)
)
for name, model in ("bag of words", bag), ("words in order", in_order):
    loss, optimizer = nn.BCEWithLogitsLoss(), nn.SGD(model, lr=0.1, momentum=0.9)
    nn.fit(model, X[:3000], Y[:3000], loss=loss, optimizer=optimizer, epochs=10, rng=rng)
    logits = nn.predict(model, X[3000:])
    print(f"{name}: accuracy {nn.binary_accuracy(logits, Y[3000:], threshold=0):.3f}")

adjectives = embedding.W[[number[word] for word in GOOD + BAD]]
directions = adjectives / np.linalg.norm(adjectives, axis=1, keepdims=True)
for word in "good", "bad":
    nearest = np.argsort(directions @ -directions[(GOOD + BAD).index(word)])[1:5]
    print(f"the adjectives closest to {word}:", ", ".join((GOOD + BAD)[each] for each in nearest))
