"""Write a trained network out, for devices and programs without nnlite, and compare what they compute.

Run it with:  python examples/export.py [--seed N]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

import nnlite as nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the weights and the data")
rng = np.random.default_rng(parser.parse_args().seed)

X = rng.normal(size=(200, 4)).astype(np.float32)
Y = (X[:, :1] * X[:, 1:2] > 0).astype(np.float32)
model = nn.Sequential(nn.Linear(4, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng), nn.Sigmoid())
loss, optimizer = nn.BCELoss(), nn.Adam(model, lr=0.03)
nn.fit(model, X, Y, loss=loss, optimizer=optimizer, epochs=30, verbose=0, rng=rng)

# A program in NumPy alone: forward(X), and step(X, y), which trains.
program = nn.to_numpy(model, loss, optimizer)
print(program[program.index("def step") : program.index("def save")].rstrip())

DEVICE = """
import sys
sys.modules["nnlite"] = None  # as on a device that has only NumPy
import numpy as np
import network
data = np.load("data.npz")
for _ in range(20):
    L = network.step(data["X"], data["Y"])
print(f"{L:.6f}")
"""
with tempfile.TemporaryDirectory() as folder:
    program.save(Path(folder) / "network.py")
    np.savez(Path(folder) / "data.npz", X=X, Y=Y)
    done = subprocess.run([sys.executable, "-c", DEVICE], cwd=folder, capture_output=True, text=True, check=True)
for _ in range(20):
    L = loss.forward(model.forward(X), Y)
    model.backward(loss.backward())
    optimizer.step()
# A header of C99 for a device without Python: float in, float out, weights in tables.
print(nn.to_c(model)[-800:])
print(f"\nloss of the 20th step: {done.stdout.strip()} with NumPy alone, {L:.6f} with nnlite")

# A file for onnxruntime and others, which can also be read back and trained further.
with tempfile.TemporaryDirectory() as folder:
    nn.to_onnx(model, file := Path(folder) / "network.onnx", 4)
    (P,) = onnxruntime.InferenceSession(file).run(None, {"X": X})
    again = nn.from_onnx(file)
under_onnxruntime, read_back = (np.abs(Y - model.forward(X)).max() for Y in (P, again.forward(X)))
print(f"largest difference: {under_onnxruntime:.0e} under onnxruntime, {read_back:.0e} read back")
