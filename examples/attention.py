"""A tiny transformer learns to sort letters; its attention shows which letter it reads for each that it writes.

Run it with:  python examples/attention.py [--seed N] [--steps N] [--figure FILE]
"""

import argparse

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the words and the initial weights")
parser.add_argument("--steps", type=int, default=500, help="of training")
parser.add_argument("--figure", help="file for a figure of the attention, such as attention.png")
arguments = parser.parse_args()
rng = np.random.default_rng(arguments.seed)
LETTERS, T, START = np.array([*"abcdefghijklmnopqrstuvwxyz"]), 8, 26

# The order of the letters does not matter to an encoder without positions, so it has none.
src, tgt = nn.Input("letters"), nn.Input("before")
embedding = nn.Embedding(27, 32, rng=rng)
transformer = nn.Transformer(32, 1, 1, 1, 64, dropout=0.0, causal=True, rng=rng)
Y = transformer(embedding(src), nn.tied(embedding)(tgt))
model = nn.Graph([src, tgt], nn.Linear(32, 26, rng=rng)(Y))
loss, optimizer = nn.CrossEntropyLoss(dim=-1), nn.Adam(model, lr=nn.OneCycleLR(5e-3, total_steps=arguments.steps))
for step in range(1, arguments.steps + 1):
    letters = rng.permuted(np.tile(np.arange(26), (64, 1)), axis=1)[:, :T]  # 64 words, each of different letters
    before = np.insert(np.sort(letters)[:, :-1], 0, START, axis=1)  # what is written before each letter
    J = loss.forward(model.forward(letters, before), np.sort(letters))
    model.backward(loss.backward())
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}: loss {J:.4f}")

# Sort new words: write letter after letter, each from those that were written before it.
letters = rng.permuted(np.tile(np.arange(26), (1000, 1)), axis=1)[:, :T]
before = np.full((1000, T + 1), START)
for t in range(T):
    before[:, t + 1] = model.forward(letters, before[:, : t + 1])[:, t].argmax(axis=-1)
written = before[:, 1:]
print(f"of 1,000 new words {np.mean((written == np.sort(letters)).all(axis=1)):.1%} are right")
for n in range(3):
    print("".join(LETTERS[letters[n]]), "->", "".join(LETTERS[written[n]]))

# The decoder's attention to the word, of one head: row t has the weights of its letters when letter t is written.
A = transformer.decoder.layers[0].multihead_attn.A[:, 0]
read = np.take_along_axis(letters, A.argmax(axis=-1), axis=1)
print(f"the letter with the largest weight is the one that is written: {np.mean(read == written):.1%}")
if arguments.figure:
    from matplotlib.figure import Figure

    figure = Figure((9, 3.3), layout="constrained")
    for n, axes in enumerate(figure.subplots(1, 3)):
        axes.imshow(A[n], cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(T), LETTERS[letters[n]])
        axes.set_yticks(range(T), LETTERS[written[n]])
        axes.set(xlabel="read", ylabel="written")
    figure.savefig(arguments.figure, dpi=150)
