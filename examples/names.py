"""Letters to letters: an MLP on embeddings (Bengio, 2003), a GRU and a small transformer learn a poem, The Raven.

Each sees some letters and says how likely each letter is the next. The end of the poem, which is not trained on, is
for early stopping: printed are the lowest loss there, its perplexity, and what the model then writes.

Run it with:  python examples/names.py [--seed N] [--epochs N]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the initial weights, the order of the rows and the samples")
parser.add_argument("--epochs", type=int, default=60, help="at most")
arguments = parser.parse_args()
rng = np.random.default_rng(arguments.seed)

LETTERS = nn.datasets.text().target_names
V, code = len(LETTERS), {letter: number for number, letter in enumerate(LETTERS)}
START = "Once upon a midnight dreary, while I pondered, "

mlp = nn.Sequential(  # the embeddings of eight letters side by side
    *(nn.Embedding(V, 16, rng=rng), nn.Flatten(), nn.Linear(8 * 16, 128, rng=rng), nn.Tanh()),
    nn.Linear(128, V, rng=rng),
)
gru = nn.Sequential(nn.Embedding(V, 32, rng=rng), nn.GRU(32, 128, rng=rng), nn.Linear(128, V, rng=rng))
blocks = [nn.TransformerEncoderLayer(64, 4, 128, causal=True, norm_first=True, rng=rng) for _ in range(2)]
encoder = nn.TransformerEncoder(blocks, norm=nn.LayerNorm(64))
transformer = nn.Sequential(
    *(nn.Embedding(V, 64, rng=rng), nn.PositionalEncoding(), encoder, nn.Linear(64, V, rng=rng)),
)

for name, model, length, step in ("MLP", mlp, 8, 1), ("GRU", gru, 32, 4), ("transformer", transformer, 32, 4):
    X, Y = nn.datasets.text(length, step)
    Y = Y[:, -1] if model is mlp else Y  # the MLP says one letter, the others one after each that they have read
    end, gap = len(X) * 9 // 10, length // step  # no letter is in both parts
    best = nn.EarlyStopping(patience=6)
    history = nn.fit(
        *(model, X[: end - gap], Y[: end - gap]), validation_data=(X[end:], Y[end:]), callbacks=[best],
        loss=nn.CrossEntropyLoss(dim=-1), optimizer=nn.Adam(model, lr=3e-3), clip_norm=1.0,
        epochs=arguments.epochs, batch_size=32, verbose=0, rng=rng,
    )  # fmt: skip
    lowest = min(history["val_loss"])
    print(f"{name}, {model.Phi.size:,} parameters: loss {lowest:.3f}, perplexity {np.exp(lowest):.1f}")

    written = [code[letter] for letter in START]
    for _ in range(150):
        logits = nn.predict(model, [written[-length:]]).reshape(-1, V)[-1] / 0.7  # likely letters more often
        odds = np.exp(logits - logits.max(), dtype=float)
        written.append(rng.choice(V, p=odds / odds.sum()))
    print("   ", "".join(LETTERS[each] for each in written).replace("\n", "\n    "), end="\n\n")
