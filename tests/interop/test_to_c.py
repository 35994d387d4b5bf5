"""to_c: headers that a compiler of C99 accepts without a warning, and that compute what the layers do."""

import shutil
import subprocess

import numpy as np
import pytest
from numpy.testing import assert_allclose

import nnlite as nn

ACTIVATIONS = [
    nn.Tanh, nn.Sigmoid, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Softplus, nn.Mish, nn.Hardtanh,
    nn.Softsign, nn.LogSigmoid, nn.Softmax, nn.LogSoftmax, lambda: nn.LayerNorm(4), lambda: nn.RMSNorm(4), nn.Identity,
]  # fmt: skip
LOSSES = [nn.MSELoss, nn.BCEWithLogitsLoss, nn.HuberLoss, lambda: nn.MSELoss(reduction="sum")]
ROWS = 5


def network(activation, seed):
    return nn.Sequential(nn.Linear(3, 4, rng=seed), activation(), nn.Linear(4, 2, rng=seed + 1))


def array(name, values):
    return f"static const float {name}[] = {{{', '.join(f'{value!r}f' for value in np.ravel(values).tolist())}}};"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Compile and run a program, with warnings as errors; the numbers that it prints."""
    if not (compiler := shutil.which("cc")):
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("c")

    def run(headers, lines):
        for name, header in headers.items():
            header.save(folder / f"{name}.h")
        includes = [f'#include "{name}.h"' for name in headers]
        main = ["#include <stdio.h>", *includes, *lines]
        (folder / "main.c").write_text("\n".join(main))
        options = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
        subprocess.run([compiler, *options, "main.c", "-o", "main", "-lm"], cwd=folder, check=True)
        printed = subprocess.run(["./main"], cwd=folder, check=True, capture_output=True, text=True).stdout
        return np.array(printed.split(), float)

    return run


def test_forward_of_all_common_activations(run):
    X = np.random.default_rng(0).standard_normal((ROWS, 3)).astype(np.float32)
    models = {f"n{number}": network(activation, number) for number, activation in enumerate(ACTIVATIONS)}
    lines = [array("X", X), "int main(void) {", "float y[2];", f"for (int r = 0; r < {ROWS}; r++) {{"]
    for name in models:
        lines += [f"{name}_forward(X + 3 * r, y);", 'printf("%.9g %.9g\\n", y[0], y[1]);']
    printed = run({name: nn.to_c(model, name=name) for name, model in models.items()}, [*lines, "} return 0; }"])
    expected = np.stack([model.eval().forward(X) for model in models.values()], axis=1)
    assert_allclose(printed.reshape(ROWS, len(models), 2), expected, rtol=3e-6, atol=3e-6)


def test_steps_of_all_common_activations_and_losses(run):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((ROWS, 3)).astype(np.float32), rng.integers(0, 2, (ROWS, 2)).astype(np.float32)
    cases = {f"n{n}": (network(each, n), nn.MSELoss()) for n, each in enumerate(ACTIVATIONS)}
    cases |= {f"l{n}": (network(nn.Tanh, n), loss()) for n, loss in enumerate(LOSSES)}
    headers = {name: nn.to_c(model, loss, training=True, name=name) for name, (model, loss) in cases.items()}
    lines = [array("X", X), array("y", y), "int main(void) { for (int step = 0; step < 3; step++) {"]
    for name in cases:
        tables = [("W1", 12), ("b1", 4), *[(t, 4) for t in ("gamma2", "beta2") if f"{name}_{t}[" in headers[name]]]
        last = 3 if f"{name}_gamma2[" in headers[name] else 2
        lines.append(f'printf("%.9g\\n", {name}_step(X, y, {ROWS}, 0.1f));')
        for table, size in (*tables, (f"W{last}", 8), (f"b{last}", 2)):
            lines.append(f'for (int j = 0; j < {size}; j++) printf("%.9g ", {name}_{table}[j]);')
    printed = run(headers, [*lines, "} return 0; }"])
    expected = []
    optimizers = {name: nn.SGD(model, lr=0.1) for name, (model, _) in cases.items()}
    for _ in range(3):
        for name, (model, loss) in cases.items():
            J = loss.forward(model.forward(X), y)
            model.backward(loss.backward())
            optimizers[name].step()
            expected += [[J], model.Phi.copy()]
    assert_allclose(printed, np.concatenate(expected), rtol=2e-5, atol=2e-6)


def test_steps_of_cross_entropy(run):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((ROWS, 3)).astype(np.float32), np.array([2, 0, 3, 3, 1])
    losses = nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum")
    models = [nn.Sequential(nn.Linear(3, 4, rng=n), nn.Tanh(), nn.Linear(4, 4, rng=n + 1)) for n in range(2)]
    cases = dict(zip(("n0", "n1"), zip(models, losses, strict=True), strict=True))
    lines = [array("X", X), array("y", y.astype(float)), "int main(void) { for (int step = 0; step < 3; step++) {"]
    for name in cases:
        lines.append(f'printf("%.9g\\n", {name}_step(X, y, {ROWS}, 0.1f));')
        for table, size in ("W1", 12), ("b1", 4), ("W2", 16), ("b2", 4):
            lines.append(f'for (int j = 0; j < {size}; j++) printf("%.9g ", {name}_{table}[j]);')
    headers = {name: nn.to_c(model, loss, training=True, name=name) for name, (model, loss) in cases.items()}
    printed, expected = run(headers, [*lines, "} return 0; }"]), []
    for _ in range(3):
        for model, loss in cases.values():
            J = loss.forward(model.forward(X), y)
            model.backward(loss.backward())
            model.Phi -= np.float32(0.1) * model.dPhi
            expected += [[J], model.Phi.copy()]
    assert_allclose(printed, np.concatenate(expected), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("training", [False, True])
def test_layers_with_parts_and_with_slopes(run, training):
    X, y = (np.random.default_rng(seed).standard_normal((ROWS, 3)).astype(np.float32) for seed in (0, 1))
    layers = {"glu": nn.GLU, "one": nn.PReLU, "each": lambda: nn.PReLU(6), "rrelu": nn.RReLU}
    models = {}
    for name, make in layers.items():
        if name != "rrelu" or not training:
            models[name] = nn.Sequential(nn.Linear(3, 6, rng=0), make(), nn.Linear(3 if name == "glu" else 6, 3, rng=1))
    lines = [array("X", X), *[array("y", y)] * training, "int main(void) {", "float out[3];"]
    for name in models:
        lines += [f"{name}_step(X, y, {ROWS}, 0.1f);"] * training
        lines += [f"{name}_forward(X, out);", 'printf("%.9g %.9g %.9g\\n", out[0], out[1], out[2]);']
    printed = run(
        {name: nn.to_c(model, training=training, name=name) for name, model in models.items()}, [*lines, "return 0; }"]
    )
    loss = nn.MSELoss()
    for model in models.values():
        if training:
            loss.forward(model.forward(X), y)
            model.backward(loss.backward())
            model.Phi -= np.float32(0.1) * model.dPhi
    expected = [model.eval().forward(X)[0] for model in models.values()]
    assert_allclose(printed, np.concatenate(expected), rtol=3e-6, atol=3e-6)


def test_a_step_of_tied_layers_adds_each_gradient_once(run):
    layer = nn.Linear(2, 2, rng=0)
    model = nn.Sequential(layer, nn.Tanh(), nn.tied(layer))
    X, y = (np.random.default_rng(seed).standard_normal((ROWS, 2)).astype(np.float32) for seed in (0, 1))
    lines = [array("X", X), array("y", y), "int main(void) {", f"network_step(X, y, {ROWS}, 0.1f);"]
    lines += ["float out[2];", "network_forward(X, out);", 'printf("%.9g %.9g\\n", out[0], out[1]); return 0; }']
    printed = run({"network": nn.to_c(model, training=True)}, lines)
    loss = nn.MSELoss()
    loss.forward(model.forward(X), y)
    model.backward(loss.backward())
    model.Phi -= np.float32(0.1) * model.dPhi
    assert_allclose(printed, model.forward(X)[0], rtol=3e-6, atol=3e-6)


def test_batch_norm_is_written_as_it_computes_in_evaluation_mode(run):
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2, rng=1))
    X = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    for _ in range(3):
        model.forward(X + 1)
    model[1].gamma, model[1].beta = [0.5, 1.5, -1.0, 2.0], [0.1, -0.2, 0.3, 0.4]
    lines = [array("X", X[0]), "int main(void) {", "float out[2];", "network_forward(X, out);"]
    printed = run({"network": nn.to_c(model)}, [*lines, 'printf("%.9g %.9g\\n", out[0], out[1]); return 0; }'])
    assert_allclose(printed, model.eval().forward(X)[0], rtol=3e-6, atol=3e-6)


def test_a_header_for_forward_alone_has_constant_tables_and_no_step():
    header = nn.to_c(network(nn.Tanh, 0))
    assert "static const float network_W1[12]" in header
    assert "step" not in header
    assert "malloc" not in header


def test_float64_is_written_as_floats_and_the_model_stays(run):
    model = nn.Sequential(nn.Linear(3, 2, rng=0, dtype=float))
    header = nn.to_c(model, name="wide")
    assert model.dtype == float
    lines = ["int main(void) { float X[3] = {1.0f, 2.0f, 3.0f}, y[2]; wide_forward(X, y);"]
    printed = run({"wide": header}, [*lines, 'printf("%.9g %.9g", y[0], y[1]); return 0; }'])
    assert_allclose(printed, model.forward([[1.0, 2.0, 3.0]])[0], rtol=1e-6)


def test_all_layers_that_have_no_form_in_c_are_in_one_error():
    model = nn.Sequential(
        nn.Linear(4, 4), nn.Dropout(0.5, rng=0), nn.Tanh(), nn.Reshape(-1, 2, 2), nn.Softmin(1), nn.Flatten()
    )
    nn.to_c(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5, rng=0)))  # in evaluation mode it is the identity
    with pytest.raises(TypeError, match="not to be written in C") as error:
        nn.to_c(model, training=True)
    message = str(error.value)
    assert "1 Dropout(p=0.5): " in message
    assert "4 Softmin(dim=1): " in message
    assert "Tanh" not in message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: nn.to_c(3), "model: expected a Layer"),
        (lambda model: nn.to_c(model, nn.MSELoss()), "pass training=True"),
        (lambda model: nn.to_c(model, nn.Tanh(), training=True), "expected a Loss"),
        (lambda model: nn.to_c(model, nn.MSELoss(reduction="none"), training=True), 'got "none"'),
        (lambda model: nn.to_c(model, nn.CrossEntropyLoss(label_smoothing=0.1), training=True), "label_smoothing=0.1"),
        (lambda model: nn.to_c(model, nn.CrossEntropyLoss(weight=[1, 2]), training=True), r"weight=\[1.0, 2.0\]\): "),
        (lambda _: nn.to_c(nn.Sequential(nn.Tanh())), "nothing in it tells the number of features"),
        (lambda _: nn.to_c(nn.Conv1d(1, 2, 3)), "to_c: expected a model of one vector of numbers: Conv1d"),
        (
            lambda _: nn.to_c(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), training=True),
            "one sample after another",
        ),
        (lambda model: nn.to_c(model, name="2d"), "name: expected an identifier"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call(network(nn.Tanh, 0))
