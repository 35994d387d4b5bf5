"""from_onnx: the model of a file computes what the file does, and has the gradients of the model that was written."""

import io

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.case import case
from support.contract import backward, forward, gradients, some_dY
from support.onnx_runs import batch, exported, input_shape, of_form, one_of_each_layer, outputs
from support.random_networks import Builder

import nnlite as nn
from nnlite.basics.trees import listed
from nnlite.interop.onnx.writing_onnx import content_of


def assert_equal_gradients(model, again, row):
    """Raise unless both have the same outputs, gradients of inputs and, in any order, of parameters."""
    Xs = [batch(X, 4, np.float64) for X in listed(row.X)]
    X, same = of_form(row, Xs), tuple(Xs) if len(Xs) > 1 else Xs[0]
    Y, Y_again = forward(model, X), forward(again, same)
    dX, dX_again = backward(model, some_dY(Y)), backward(again, some_dY(Y_again))
    for ours, theirs in (listed(Y), listed(Y_again)), (gradients(dX), gradients(dX_again)):
        for expected, got in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)  # options are float32 in ONNX
    if row.id != "Embedding-padding_idx":  # which ONNX does not have
        np.testing.assert_allclose(np.sort(again.dPhi), np.sort(model.dPhi), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("opset", [18, 13, 22])
def test_there_and_back_with_the_same_gradients(opset):
    for row in exported() if opset == 18 else one_of_each_layer(exported()):
        with case(row.id):
            model = row.make().astype(np.float64).eval()
            content = content_of(model, input_shape(row), opset)
            again = nn.from_onnx(content)
            assert again.training
            assert_equal_gradients(model, again.eval(), row)


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_networks_there_and_back(first):
    for seed in range(first, first + 10):
        with case(f"seed {seed}"), np.errstate(all="ignore"):
            model, X, _, _ = Builder(np.random.default_rng(seed)).network()
            model.astype(np.float64).eval()
            again = nn.from_onnx(content_of(model, list(X.shape[1:]), 18)).eval()
            Y, Y_again = model.forward(X), again.forward(X)
            np.testing.assert_allclose(Y_again, Y, rtol=1e-6, atol=1e-9)
            dX, dX_again = model.backward(some_dY(Y)), again.backward(some_dY(Y))
            size = np.abs(model.dPhi[np.isfinite(model.dPhi)]).max(initial=1)
            np.testing.assert_allclose(dX_again, dX, rtol=1e-6, atol=1e-9 * size)
            np.testing.assert_allclose(np.sort(again.dPhi), np.sort(model.dPhi), rtol=1e-6, atol=1e-9 * size)


def test_a_chain_is_a_sequential_of_the_same_layers(tmp_path):
    model = nn.Sequential(
        *(nn.Linear(6, 4, rng=0), nn.BatchNorm1d(4, eps=0.125, momentum=0.25), nn.LeakyReLU(0.5), nn.Dropout(0.25)),
        *(nn.Linear(4, 4, bias=False, rng=1), nn.GELU(), nn.GELU("tanh"), nn.LayerNorm(4), nn.ELU(), nn.SELU()),
        *(nn.Hardtanh(-2.0, 2.0), nn.ReLU6(), nn.Hardsigmoid(), nn.Softshrink(0.25), nn.Hardshrink(0.25)),
        *(nn.PReLU(4), nn.Softmax(dim=1)),
    )
    nn.to_onnx(model, tmp_path / "model.onnx", 6, opset=20)
    assert repr(nn.from_onnx(tmp_path / "model.onnx")) == repr(model)
    nn.to_onnx(model[5:6], tmp_path / "model.onnx", 6, opset=13)  # x (1 + erf(x / sqrt(2))) / 2
    assert repr(nn.from_onnx(str(tmp_path / "model.onnx"))) == repr(model[5:6])


# -------------------------------------------------------------------------------------- files of other programs


rng = np.random.default_rng(0)


def floats(*shape):
    return rng.normal(size=shape).astype(np.float32)


def file(text, opset=17, shape="[batch, 6]", **initializers):
    """A ModelProto with these operators of x, which give y."""
    head = f'<ir_version: {8 if opset < 19 else 10}, opset_import: ["" : {opset}]>'
    head += f" main_graph (float{shape} x) => (float[?, ?] y)"
    model = onnx.parser.parse_model(f"{head} {{ {text} }}")
    for name, array in initializers.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return model


X = floats(5, 6)
FILES = {
    "transposed-weights-a-constant-shape-and-shared-weights": file(
        """
        sizes = Constant<value = int64[3] {0, 2, 3}>()
        parts = Reshape(x, sizes)
        product = MatMul(parts, w0)
        h = Add(b0, product)
        r = Relu(h)
        flat = Flatten<axis = 1>(r)
        d = Dropout(flat)
        g = Gemm<alpha = 1.0, beta = 1.0, transB = 1>(d, w1, b1)
        shared = Identity(w1)
        y = Gemm<transB = 1>(g, shared, b1)
        """,
        w0=floats(3, 4),
        b0=floats(4),
        w1=floats(8, 8),
        b1=floats(8),
    ),
    "GELU-in-five-operators-and-constants": file(
        """
        h = Gemm<transB = 1>(x, w, b)
        root = Constant<value = float {1.4142135}>()
        one = Constant<value_float = 1.0>()
        half = Constant<value = float[1] {0.5}>()
        scaled = Div(h, root)
        erf = Erf(scaled)
        plus = Add(erf, one)
        product = Mul(h, plus)
        gelu = Mul(product, half)
        z = Sub(one, gelu)
        two = Constant<value = float {2.0}>()
        y = Pow(z, two)
        """,
        w=floats(3, 6),
        b=floats(3),
    ),
    "scaled-Gemm-norms-and-channels": file(
        """
        g = Gemm<alpha = 0.5, beta = 2.0>(x, w, b)
        n = BatchNormalization<epsilon = 0.001, momentum = 0.9>(g, gamma, beta, mean, var)
        sizes = Constant<value = int64[3] {-1, 3, 2}>()
        c = Reshape(n, sizes)
        i = InstanceNormalization(c, gamma3, beta3)
        p = PRelu(i, slope)
        t = Transpose<perm = [2, 0, 1]>(p)
        u = Transpose<perm = [1, 2, 0]>(t)
        a, q = Split<axis = 1>(u, parts)
        axes = Constant<value = int64[1] {1}>()
        s = Squeeze(a, axes)
        m = ReduceMean<axes = [1], keepdims = 0>(q)
        l = LayerNormalization<axis = -1>(m, gamma2, beta2)
        k = Sum(l, s, m)
        zero = Constant<value = float {0.0}>()
        six = Constant<value = float {6.0}>()
        v = Clip(k, zero, six)
        low = Clip(k, zero)
        e = Max(v, low)
        y = Concat<axis = -1>(e, s)
        """,
        parts=np.array([1, 2]),
        w=floats(6, 6),
        b=floats(6),
        gamma=floats(6),
        beta=floats(6),
        mean=floats(6),
        var=np.abs(floats(6)),
        gamma3=floats(3),
        beta3=floats(3),
        slope=floats(3, 1),
        gamma2=floats(2),
        beta2=floats(2),
    ),
}


FILES["norms-of-newer-opsets"] = file(
    """
    sizes = Constant<value = int64[3] {-1, 2, 3}>()
    c = Reshape(x, sizes)
    r = RMSNormalization<axis = -1, epsilon = 0.02>(c, gamma3)
    g = GroupNormalization<num_groups = 2, epsilon = 0.01>(r, gamma, beta)
    rows = Constant<value = int64[2] {-1, 6}>()
    f = Reshape(g, rows)
    y = Mul(f, half)
    """,
    opset=23,
    gamma=floats(2),
    beta=floats(2),
    gamma3=floats(3),
    half=np.float32(0.5),
)


@pytest.mark.parametrize("name", FILES)
def test_a_file_as_other_programs_write_it(name):
    model = nn.from_onnx(FILES[name])
    (expected,) = outputs(FILES[name].SerializeToString(), X)
    np.testing.assert_allclose(nn.predict(model, X), expected, rtol=1e-5, atol=1e-5)
    trained = sum(
        each.dims[0] * int(np.prod(each.dims[1:]))
        for each in FILES[name].graph.initializer
        if each.name not in ("mean", "var", "parts", "half")
    )
    assert model.Phi.size == trained  # shared weights once
    optimizer = nn.SGD(model, lr=1e-3)
    losses = [nn.evaluate(model.train(), X, 0 * expected, loss=nn.MSELoss())["loss"]]
    history = nn.fit(model, X, 0 * expected, loss=nn.MSELoss(), optimizer=optimizer, epochs=5, verbose=0)
    assert len(losses + history["loss"]) == 6


@pytest.mark.parametrize("opset", [14, 17, 20])
def test_files_of_pytorch(opset):
    torch = pytest.importorskip("torch")

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.SiLU())
            self.norm = torch.nn.LayerNorm(6)
            self.scale = torch.nn.Parameter(torch.full((6,), 0.5))

        def forward(self, x):
            y = self.norm(x + self.inner(x)) * self.scale
            parts = y.view(x.size(0), 2, 3).transpose(1, 2)
            return torch.cat([parts.reshape(parts.shape[0], -1), torch.nn.functional.glu(y).view(-1, 3)], 1)

    class Images(torch.nn.Module):
        def forward(self, x):
            return x.view(-1, 1, 2, 3)

    nets = [
        torch.nn.Sequential(
            *(torch.nn.Linear(6, 8), torch.nn.GELU(), torch.nn.Dropout(0.3), torch.nn.Linear(8, 8)),
            *(torch.nn.BatchNorm1d(8), torch.nn.PReLU(), torch.nn.CELU(1.5), torch.nn.Mish(), torch.nn.Softmax(-1)),
        ),
        Block(),
        torch.nn.Sequential(
            *(Images(), torch.nn.Upsample(scale_factor=2), torch.nn.Upsample(scale_factor=1.5, mode="bilinear")),
            *(torch.nn.Conv2d(1, 4, 2, padding="same"), torch.nn.ReLU()),
            *(
                torch.nn.BatchNorm2d(4),
                torch.nn.GroupNorm(2, 4),
                torch.nn.Conv2d(4, 4, (2, 1), (1, 2), (1, 0), groups=2),
                torch.nn.Flatten(),
            ),
        ),
    ]
    for net in nets:
        written = io.BytesIO()
        x = torch.tensor(X, requires_grad=True)
        options = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}, "opset_version": opset}
        with pytest.warns():
            torch.onnx.export(net.eval(), (x,), written, dynamo=False, **options)
        model = nn.from_onnx(written.getvalue()).eval()
        Y, expected = model.forward(X), net(x)
        np.testing.assert_allclose(Y, expected.detach(), rtol=1e-5, atol=1e-6)
        (expected**2).sum().backward()
        np.testing.assert_allclose(model.backward(2 * Y), x.grad, rtol=1e-4, atol=1e-5)
        ours, theirs = np.sort(model.dPhi), np.sort(torch.cat([p.grad.ravel() for p in net.parameters()]))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


EXPORTERS = [
    {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}},
    {"dynamo": False},
    {"dynamo": True},
    {"dynamo": True, "dynamic_shapes": ({0: "batch"},)},
]


def networks_of_pytorch():
    """Networks as people write them, with an input each."""
    torch = pytest.importorskip("torch")
    of = torch.nn
    torch.manual_seed(0)

    class Classifier(of.Module):
        def __init__(self, cell, state, **options):
            super().__init__()
            self.embedding, self.cell, self.state = of.Embedding(11, 3), cell(3, 5, batch_first=True, **options), state
            self.head = of.Linear(10 if options.get("bidirectional") else 5, 2)

        def forward(self, x):
            Y, H = self.cell(self.embedding(x))
            return self.head(H[0][-1] if self.state else Y[:, -1])

    class Residual(of.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.second = of.Conv2d(1, 4, 3), of.BatchNorm2d(4), of.Conv2d(4, 4, 3, padding=1)
            self.head = of.Linear(4, 3)

        def forward(self, x):
            h = torch.relu(self.norm(self.first(x)))
            return self.head((h + self.second(h)).amax((2, 3)))

    class Attention(of.Module):
        def __init__(self):
            super().__init__()
            self.token, self.attention = (
                of.Parameter(torch.randn(1, 1, 8)),
                of.MultiheadAttention(8, 2, batch_first=True),
            )
            self.head = of.Linear(8, 3)

        def forward(self, x):
            rows = torch.cat([self.token.expand(x.shape[0], -1, -1), x.flatten(1, 2)], 1)
            rows = (rows - rows.mean(-1, keepdim=True)) / (rows.std(-1, keepdim=True) + 1)
            return self.head(self.attention(rows, rows, rows, need_weights=False)[0][:, 0])

    features, images, words = torch.randn(5, 6), torch.randn(5, 1, 8, 8), torch.randint(11, (5, 7))
    return [
        (of.Sequential(of.Linear(6, 8), of.ReLU(), of.LayerNorm(8), of.Linear(8, 3), of.Softmax(1)), features),
        (of.Sequential(of.Linear(6, 8), of.SiLU(), of.PReLU(), of.Softplus(), of.Threshold(0.0, 0.0)), features),
        (
            of.Sequential(
                *(of.Conv2d(1, 4, 3, padding=1), of.ReLU(), of.MaxPool2d(2), of.CircularPad2d(1), of.Conv2d(4, 2, 3)),
                *(of.AdaptiveAvgPool2d(1), of.Flatten(), of.Linear(2, 3)),
            ),
            images,
        ),
        (Residual(), images),
        (Attention(), images),
        (Classifier(of.LSTM, False), words),
        (Classifier(of.LSTM, True, num_layers=2), words),
        (Classifier(of.GRU, False, num_layers=2, bidirectional=True), words),
    ]


@pytest.mark.filterwarnings("ignore")  # of PyTorch's exporters
@pytest.mark.parametrize("options", EXPORTERS, ids=["of-TorchScript", "of-TorchScript-fixed", "dynamo-fixed", "dynamo"])
def test_networks_of_pytorch_by_its_exporters(options):
    torch = pytest.importorskip("torch")
    if options["dynamo"]:
        pytest.importorskip("onnxscript")
    for net, x in networks_of_pytorch():
        written = io.BytesIO()
        program = torch.onnx.export(net.eval(), (x,), None if options["dynamo"] else written, verbose=False, **options)
        content = program.model_proto if options["dynamo"] else written.getvalue()
        model = nn.from_onnx(content).eval()
        with case(type(net).__name__):
            for rows in (x, x[:1]) if {"dynamic_axes", "dynamic_shapes"} & options.keys() else (x,):
                np.testing.assert_allclose(model.forward(rows.numpy()), net(rows).detach(), rtol=0, atol=1e-5)


# ------------------------------------------------------------------------------------------------ recurrent layers


def recurrent_file(operator, more=""):
    """A file of one recurrent operator of x (T, N, 3), whose first states are zeros in the size of the batch."""
    gates, cell, more_outputs = {"RNN": (1, "", ""), "GRU": (3, "", ""), "LSTM": (4, ", zeros", ", yc")}[operator]
    more = f"{more}, linear_before_reset = 1" if operator == "GRU" and "linear" not in more else more
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[5, batch, 3] x) => (float[?, ?, ?, ?] y) {{
            sizes = Shape(x)
            one = Constant<value = int64 {{1}}>()
            axes = Constant<value = int64[1] {{0}}>()
            rows = Gather<axis = 0>(sizes, one)
            n = Unsqueeze(rows, axes)
            first = Constant<value = int64[1] {{1}}>()
            width = Constant<value = int64[1] {{2}}>()
            of = Concat<axis = 0>(first, n, width)
            zeros = ConstantOfShape<value = float[1] {{0}}>(of)
            y, yh{more_outputs} = {operator}<hidden_size = 2{more}>(x, W, R, B, , zeros{cell})
        }}"""
    )
    for name, shape in ("W", (1, 2 * gates, 3)), ("R", (1, 2 * gates, 2)), ("B", (1, 4 * gates)):
        model.graph.initializer.append(numpy_helper.from_array(floats(*shape), name))
    return model


@pytest.mark.parametrize("operator", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_recurrent_operators_with_states_of_zeros_that_are_computed(operator, direction):
    written = recurrent_file(operator, f', direction = "{direction}"')
    before = written.SerializeToString()
    model, sequences = nn.from_onnx(written), floats(5, 4, 3)
    assert type(model[1]).__name__ == operator
    assert written.SerializeToString() == before
    np.testing.assert_allclose(model.forward(sequences), outputs(before, sequences)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "more", "message"),
    [
        ("GRU", ", linear_before_reset = 0", "expected linear_before_reset=1"),
        ("LSTM", ", input_forget = 1", "no input_forget"),
        ("LSTM", ", clip = 1.0", "with clip"),
        ("GRU", ', activations = ["Sigmoid", "Relu"]', "expected the activations Sigmoid, Tanh"),
        ("RNN", ', activations = ["Elu"]', "expected the activation Tanh or Relu"),
    ],
)
def test_recurrent_operators_as_no_layer_has_them(operator, more, message):
    with pytest.raises(nn.CheckpointError, match=message):
        nn.from_onnx(recurrent_file(operator, more))


def test_recurrent_layers_and_cells_are_read_as_such():
    for layer, shape in [
        (nn.LSTM(2, 3, bidirectional=True, last=True), [5, 2]),
        (nn.GRU(2, 3, reverse=True, bias=False), [5, 2]),
        (nn.RNN(2, 3, nonlinearity="relu"), [5, 2]),
        (nn.GRUCell(2, 3), [2]),
    ]:
        assert repr(nn.from_onnx(content_of(layer, shape, 18))) == repr(nn.Sequential(layer))


def test_recurrent_files_of_pytorch():
    torch = pytest.importorskip("torch")

    class States(torch.nn.Module):
        def __init__(self, net, number):
            super().__init__()
            self.net, self.number = net, number

        def forward(self, x):
            Y = self.net(x)[self.number]
            return Y[0][-1] if isinstance(Y, tuple) else Y

    options = {"batch_first": True}
    nets = [
        States(torch.nn.LSTM(3, 4, 2, bidirectional=True, **options), 0),
        States(torch.nn.GRU(3, 4, **options), 0),
        States(torch.nn.GRU(3, 4, **options), 1),
        States(torch.nn.LSTM(3, 4, **options), 1),
        States(torch.nn.RNN(3, 4, 2, nonlinearity="relu", bias=False, **options), 0),
    ]
    sequences = floats(5, 7, 3)
    for net in nets:
        for axes in {"x": {0: "batch"}}, None:
            written = io.BytesIO()
            with pytest.warns():
                torch.onnx.export(
                    net.eval(), (torch.tensor(sequences),), written, dynamo=False, input_names=["x"], dynamic_axes=axes
                )
            model = nn.from_onnx(written.getvalue())
            expected = net(torch.tensor(sequences)).detach().numpy()
            np.testing.assert_allclose(model.forward(sequences), expected, rtol=0, atol=1e-5)


def test_an_index_of_an_axis_of_size_one():
    text = "axes = Constant<value = int64[1] {1}>() i = Constant<value = int64 {-1}>() u = Unsqueeze(x, axes) "
    written = file(text + "t = Tanh(u) y = Gather<axis = 1>(t, i)")
    np.testing.assert_allclose(nn.from_onnx(written).forward(X), np.tanh(X), rtol=1e-6)


# --------------------------------------------------------------------------------- indices, windows and conditions


def same_as_onnxruntime(written, *Xs):
    """Raise unless the model of a file gives what onnxruntime does; return it."""
    model = nn.from_onnx(written)
    (expected,) = outputs(written.SerializeToString(), *Xs)
    np.testing.assert_allclose(model.eval().forward(*Xs), expected, rtol=1e-5, atol=1e-5)
    return model


def integers(**arrays):
    """Constant nodes of whole numbers."""
    values = {name: ", ".join(map(str, numbers)) for name, numbers in arrays.items()}
    return " ".join(f"{name} = Constant<value = int64[{len(arrays[name])}] {{{values[name]}}}>()" for name in arrays)


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps", "read"),
    [
        ([1], [5], [1], [2], "Slice(dim=1, start=1, stop=5, step=2)"),
        ([-2], [2**63 - 1], [-1], [1], "Slice(dim=-1, start=-2, stop=None)"),
        ([-1], [-(2**63)], [1], [-1], "Slice(dim=1, start=None, stop=None, step=-1)"),
        ([0], [99], [1], [1], "Slice(dim=1, start=None, stop=99)"),
        ([1, 0], [4, 3], [0, 1], [1, 1], "Slice(dim=0, start=1, stop=4)"),
    ],
)
def test_slices(starts, ends, axes, steps, read):
    constants = integers(starts=starts, ends=ends, axes=axes, steps=steps)
    model = same_as_onnxruntime(file(f"{constants} y = Slice(x, starts, ends, axes, steps)"), X)
    assert repr(model[0]) == read


def test_an_entry_of_an_axis():
    text = integers(sizes=[0, 2, 3]) + " i = Constant<value = int64 {-1}>() u = Reshape(x, sizes)"
    model = same_as_onnxruntime(file(f"{text} y = Gather<axis = 1>(u, i)"), X)
    assert repr(model[1]) == "Select(dim=1, index=-1)"


def test_ends_of_a_slice_that_are_computed_of_known_sizes():
    text = integers(zero=[0], one=[1], two=[2])
    text += "shape = Shape(x) size = Gather<axis = 0>(shape, one) half = Div(size, two)"
    same_as_onnxruntime(file(f"{text} y = Slice(x, zero, half, one)"), X)
    text = text.replace("Gather<axis = 0>(shape, one)", "Gather<axis = 0>(shape, zero)")  # half of the batch
    with pytest.raises(nn.CheckpointError, match="not supported:\n  Shape 0"):
        nn.from_onnx(file(f"{text} y = Slice(x, zero, half, one)"))


def test_sizes_that_are_products_of_the_size_of_the_batch():
    """As attention computes them: heads become samples, (N, 6) -> (2 N, 3) -> (N, 6), with a scale of a size."""
    text = integers(zero=[0], two=[2], three=[3], five=[5])
    text += """
        shape = Shape(x) n = Slice(shape, zero, one) one = Mod(three, two) rows = Mul(n, two)
        width = Mod(five, two) six = Slice(shape, width, two) half = Div(six, two)
        heads = Concat<axis = 0>(rows, half) h = Reshape(x, heads) t = Softmax<axis = 1>(h)
        of_t = Shape(t) last = Slice(of_t, one, two) number = Cast<to = 1>(last) root = Sqrt(number) s = Div(t, root)
        back = Concat<axis = 0>(n, six) y = Reshape(s, back)
    """
    text = text.replace(
        "n = Slice(shape, zero, one) one = Mod(three, two)", "one = Mod(three, two) n = Slice(shape, zero, one)"
    )
    written = file(text)
    for rows in 1, 5:
        same_as_onnxruntime(written, X[:rows])


def test_values_that_would_be_large_are_not_computed():
    text = integers(sizes=[1 << 20, 1 << 20], one=[1], axes=[0])
    text += "ones = ConstantOfShape(sizes) s = Slice(ones, one, one, axes) y = Reshape(x, s)"
    with pytest.raises(nn.CheckpointError):
        nn.from_onnx(file(text))


IMAGES = floats(5, 2, 6, 7)


@pytest.mark.parametrize(
    ("operator", "W"),
    [
        ("Conv<pads = [0, 1, 2, 0]>(x, w, b)", floats(4, 2, 3, 2)),
        ("Conv<pads = [0, 1, 2, 0], group = 2, strides = [2, 1]>(x, w, b)", floats(4, 1, 3, 2)),
        ('Conv<auto_pad = "SAME_UPPER", strides = [2, 3]>(x, w, b)', floats(4, 2, 3, 2)),
        ('Conv<auto_pad = "SAME_UPPER">(x, w, b)', floats(4, 2, 3, 2)),
        ('Conv<auto_pad = "SAME_LOWER">(x, w)', floats(4, 2, 2, 2)),
        ("ConvTranspose<pads = [0, 1, 2, 0], strides = [2, 2]>(x, w, b)", floats(2, 4, 3, 2)),
        ("MaxPool<kernel_shape = [3, 2], pads = [0, 1, 2, 0]>(x)", None),
        ('MaxPool<kernel_shape = [3, 2], auto_pad = "SAME_LOWER", strides = [2, 2]>(x)', None),
        ("AveragePool<kernel_shape = [3, 2], pads = [0, 1, 2, 0], count_include_pad = 1>(x)", None),
    ],
)
@pytest.mark.parametrize("constant", [False, True])
def test_padding_that_differs_at_the_ends_and_kernels_that_are_constants(operator, W, constant):
    if W is None and constant:
        return
    text = f"y = {operator}"
    given = {} if W is None else {"w": W} | ({"b": floats(4)} if ", b)" in operator else {})
    if constant:
        text = f"w0 = Identity(w) {text}".replace("(x, w", "(x, w0")
    written = file(text, shape="[batch, 2, 6, 7]", **given)
    if constant:
        node = onnx.helper.make_node("Constant", [], ["w0"], value=numpy_helper.from_array(W, "w0"))
        written.graph.node[0].CopyFrom(node)
        del written.graph.initializer[0]
    written.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, "nchw"))
    model = same_as_onnxruntime(written, IMAGES)
    assert model.Phi.size == sum(array.size for name, array in given.items() if not constant or name != "w")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("above = Greater(x, bound) y = Where(above, x, value)", "Threshold(threshold=0.5, value=-2.0)"),
        ("below = LessOrEqual(x, bound) y = Where(below, value, x)", "Threshold(threshold=0.5, value=-2.0)"),
        ("below = Less(bound, x) y = Where(below, x, value)", "Threshold(threshold=0.5, value=-2.0)"),
        ("above = Greater(x, zero) z = Mul(x, slope) y = Where(above, x, z)", "PReLU(num_parameters=1, init=0.25)"),
    ],
)
def test_conditions(text, read):
    numbers = "bound = Constant<value = float {0.5}>() value = Constant<value = float {-2.0}>() "
    numbers += "zero = Constant<value = float {0.0}>() "
    model = same_as_onnxruntime(file(numbers + text, slope=np.array([0.3], np.float32)), X)
    assert repr(model[0]) == read


@pytest.mark.parametrize("text", ["y = Where(c, x, value)", "y = Where(c, value, x)"])
@pytest.mark.parametrize("value", ["-2.0", "-inf"])
def test_a_known_condition_chooses(text, value):
    numbers = "c = Constant<value = bool[6] {1, 0, 1, 0, 0, 1}>() "
    numbers += f"value = Constant<value = float {{{value}}}>() "
    model = same_as_onnxruntime(file(numbers + text), X)
    chosen = np.array([True, False, True, False, False, True]) == ("x, value" in text)
    dX = model.backward(np.ones_like(X))
    np.testing.assert_array_equal(dX, np.broadcast_to(chosen, X.shape))


@pytest.mark.parametrize(
    "condition",
    [
        *(
            "c = Greater(x, w)",
            "c = Less(x, w)",
            "c = GreaterOrEqual(x, w)",
            "c = LessOrEqual(w, x)",
            "c = Equal(x, w)",
        ),
        "e = Equal(x, w) c = Not(e)",
        "a = Greater(x, w) b = LessOrEqual(x, v) c = And(a, b)",
        "a = Greater(x, w) b = Less(x, v) n = Cast<to = 1>(b) s = Cast<to = 9>(n) c = Or(a, s)",
    ],
)
def test_a_choice_by_any_condition(condition):
    given = np.concatenate([X, X, X])
    given[0] = 0.25, np.nan, np.inf, -np.inf, 0.0, 0.5  # which are those of w and v, and what equals nothing
    w, v = np.full(6, 0.25, np.float32), np.full(6, 0.5, np.float32)
    w[2:4] = np.inf, -np.inf
    model = same_as_onnxruntime(file(f"{condition} t = Tanh(v) z = Mul(t, v) y = Where(c, x, z)", w=w, v=v), given)
    Y = model.forward(given)
    np.testing.assert_array_equal(model.backward(np.ones_like(given)), (given == Y) | np.isnan(Y))


def test_a_condition_as_the_numbers_of_a_file():
    same_as_onnxruntime(file("c = Greater(x, w) n = Cast<to = 1>(c) y = Mul(n, x)", w=np.zeros(6, np.float32)), X)


def test_whole_numbers_can_be_compared_for_equality_alone():
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[batch, 2] x, int64[batch, 2] i) => (float[batch, 2] y) {
        one = Constant<value = int64 {16777217}>() c = Equal(i, one) t = Tanh(x) y = Where(c, x, t)
    }"""
    written = onnx.parser.parse_model(text)
    x, i = floats(3, 2), np.array([[16777217, 16777216], [1, 2], [3, 16777217]])
    np.testing.assert_allclose(
        nn.from_onnx(written).forward(x, i), outputs(written.SerializeToString(), x, i)[0], rtol=1e-6
    )
    with pytest.raises(nn.CheckpointError, match="comparison of floating numbers"):
        nn.from_onnx(onnx.parser.parse_model(text.replace("Equal", "Greater")))


def test_expanding():
    """Of axes of size 1, of new ones, and to sizes that the file computes."""
    sizes = "s = Shape(x) "
    same_as_onnxruntime(file(f"{sizes} n = ReduceL2<axes = [1]>(x) e = Expand(n, s) y = Div(x, e)"), X)
    same_as_onnxruntime(
        file("n = ReduceMean<axes = [1]>(x) six = Constant<value = int64[2] {1, 6}>() y = Expand(n, six)"), X
    )
    one = "one = Constant<value = float[1, 1] {1.5}>()"
    expanded = same_as_onnxruntime(file(f"{sizes} {one} e = Expand(one, s) y = Concat<axis = 1>(x, e)"), X)
    with np.errstate(invalid="ignore"):
        Y = expanded.forward(np.full((2, 6), np.nan, np.float32))
    assert (Y[:, 6:] == 1.5).all()  # which the rows of the batch only count
    unknown = """<ir_version: 8, opset_import: ["" : 17]> g (float[batch, steps] x) => (float[batch, steps] y) {
        s = Shape(x) one = Constant<value = float[1, 1] {1.0}>() e = Expand(one, s) y = Mul(x, e)
    }"""
    with pytest.raises(nn.CheckpointError, match="its sizes are computed in a way that is not supported"):
        nn.from_onnx(onnx.parser.parse_model(unknown))


@pytest.mark.parametrize(
    "text",
    [
        "l = ReduceLogSumExp<axes = [1]>(x) y = Sub(x, l)",
        "l = ReduceLogSumExp<axes = [0, 1]>(x) y = Sub(x, l)",
        "l = ReduceLogSumExp<axes = [1], keepdims = 0>(x) one = Constant<value = int64[1] {1}>() "
        "k = Unsqueeze(l, one) y = Sub(x, k)",
    ],
)
def test_the_logarithm_of_a_sum_of_exponentials(text):
    model = same_as_onnxruntime(file(text), X)
    assert np.isfinite(model.forward(X + 1000)).all()
    assert nn.check_gradients(model.astype(np.float64), X[:3].astype(np.float64))


def test_outputs_without_a_shape_or_a_type():
    written = file("y = Tanh(x)")
    written.graph.output[0].type.tensor_type.ClearField("shape")
    assert repr(nn.from_onnx(written)) == repr(nn.Sequential(nn.Tanh()))
    written.graph.output[0].ClearField("type")
    assert repr(nn.from_onnx(written)) == repr(nn.Sequential(nn.Tanh()))


def test_equal_initializers_that_an_exporter_wrote_once():
    text = "a = LayerNormalization(x, ones, zeros) b = Tanh(a) y = LayerNormalization(b, ones, zeros)"
    model = same_as_onnxruntime(file(text, ones=np.ones(6, np.float32), zeros=np.zeros(6, np.float32)), X)
    assert model.Phi.size == 24
    with pytest.raises(nn.CheckpointError, match="used by other operators, too"):
        nn.from_onnx(file(text, ones=floats(6), zeros=np.zeros(6, np.float32)))


def test_the_last_state_beside_all_of_them():
    for direction in "forward", "reverse", "bidirectional":
        count = 2 if direction == "bidirectional" else 1
        written = onnx.parser.parse_model(
            f"""<ir_version: 8, opset_import: ["" : 17]>
            g (float[5, batch, 3] x) => (float[?, ?, ?, ?] y, float[?, ?, ?] h) {{
                y, h = LSTM<hidden_size = 2, direction = "{direction}">(x, W, R)
            }}"""
        )
        for name, shape in ("W", (count, 8, 3)), ("R", (count, 8, 2)):
            written.graph.initializer.append(numpy_helper.from_array(floats(*shape), name))
        sequences = floats(5, 4, 3)
        got, expected = nn.from_onnx(written).forward(sequences), outputs(written.SerializeToString(), sequences)
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
