"""Read the weights of an MLP from a safetensors file with the names of Hugging Face, use them, and write them back.

Run it with:  python examples/from_torch.py [--seed N]; it needs the package safetensors
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the weights and the input")
rng = np.random.default_rng(parser.parse_args().seed)

# Such a file has the weights of a whole transformer, as PyTorch has them: (out_features, in_features). This one is
# made here, in half precision, with one layer's MLP and two arrays of other modules; nothing is downloaded.
width, hidden = 8, 32
MLP = "model.layers.0.mlp"
stored = {
    f"{MLP}.fc1.weight": rng.normal(size=(hidden, width)) / np.sqrt(width),
    f"{MLP}.fc1.bias": 0.1 * rng.normal(size=hidden),
    f"{MLP}.fc2.weight": rng.normal(size=(width, hidden)) / np.sqrt(hidden),
    f"{MLP}.fc2.bias": 0.1 * rng.normal(size=width),
    "model.layers.0.self_attn.q_proj.weight": rng.normal(size=(width, width)),
    "model.embed_tokens.weight": rng.normal(size=(100, width)),
}

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.safetensors"
    nn.save({name: array.astype(np.float16) for name, array in stored.items()}, path)

    state = nn.load(path)
    print("in the file:", len(state), "arrays of", state[f"{MLP}.fc1.weight"].dtype)
    part = {name: array for name, array in state.items() if name.startswith(f"{MLP}.")}
    mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width))
    names = {"0": f"{MLP}.fc1", "2": f"{MLP}.fc2"}
    nn.from_torch(mlp, part, names=names)

    # What the stored arrays say, as a formula.
    X = rng.normal(size=(4, width)).astype(np.float32)
    W1, b1, W2, b2 = (array.astype(np.float16).astype(np.float32) for array in list(stored.values())[:4])
    U = X @ W1.T + b1
    Y = U * (1 + np.tanh(np.sqrt(2 / np.pi) * (U + 0.044715 * U**3))) / 2 @ W2.T + b2
    print("largest difference from the formula:", "below 1e-5" if np.abs(mlp.forward(X) - Y).max() < 1e-5 else "LARGE")

    # Fine-tuned on some numbers, and back among the others under the same names.
    nn.fit(mlp, X, np.tanh(X), loss=nn.MSELoss(), optimizer=nn.Adam(mlp, lr=0.01), epochs=20, rng=rng, verbose=0)
    state.update(nn.to_torch(mlp, names=names))
    nn.save(state, path)
    print("the same names:", nn.load(path).keys() == stored.keys())
