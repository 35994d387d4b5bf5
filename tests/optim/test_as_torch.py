"""The optimizers compute what those of ``torch.optim`` compute, with every mix of options."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.case import case
from support.optimizers import OPTIONS, STATE, mixes

import nnlite as nn

torch = pytest.importorskip("torch")

BARS = {np.float64: 1e-12, np.float32: 1e-6}


@pytest.fixture(autouse=True)
def default_dtype():
    """PyTorch holds the numbers of a state, such as NAdam's product, in its default dtype."""
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


def pair(kind, Phi, lr=1e-3, **options):
    """Our optimizer and PyTorch's on the same matrix of two rows."""
    torch.set_default_dtype(torch.from_numpy(Phi[:0]).dtype)
    layer = nn.Linear(2, Phi.size // 2, bias=False, dtype=Phi.dtype)
    layer.Phi = Phi
    theirs = torch.nn.Parameter(torch.tensor(Phi.reshape(2, -1)))
    return getattr(nn, kind)(layer, lr=lr, **options), getattr(torch.optim, kind)([theirs], lr=lr, **options)


def stepped(ours, theirs, gradient):
    """The parameters of both after a step."""
    parameters = theirs.param_groups[0]["params"][0]
    ours.layer.dPhi, parameters.grad = gradient, torch.tensor(gradient.reshape(2, -1))
    ours.step()
    theirs.step()
    return ours.layer.Phi.copy(), parameters.detach().numpy().flatten()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", OPTIONS)
def test_fifty_steps(kind, dtype):
    rng, bar = np.random.default_rng(0), BARS[dtype]
    Phi, gradients = rng.uniform(1, 2, 20).astype(dtype), rng.normal(size=(50, 20)).astype(dtype)
    zeros = gradients.copy()
    zeros[:, 0], zeros[10:20, 1] = 0, 0
    for options in mixes(kind):
        # Where all gradients are equal, centered is rounding errors divided by rounding errors.
        given = gradients if options.get("centered") else zeros
        with case(f"{kind}, {options}"):
            ours, theirs = pair(kind, Phi, **options)
            path = np.array([stepped(ours, theirs, gradient) for gradient in given])
            assert_allclose(path[:, 0], path[:, 1], rtol=bar)
            (state,) = theirs.state.values()
            for name in ours.arrays:
                if kind == "Adafactor" and name == "variance":  # of vectors
                    continue
                their = np.ravel(state[STATE[kind][name]].numpy())
                assert_allclose(getattr(ours, name), their, rtol=bar, atol=bar * np.abs(their).max(), err_msg=name)


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_infinities_and_zeros(kind):
    for options in mixes(kind):
        large = 1e150 if options.get("centered") else 1e300  # PyTorch's v - m m does not overflow: it is rounded once
        special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, large, -1e-300])
        with case(f"{kind}, {options}"):
            ours, theirs = pair(kind, np.linspace(1, 2, special.size), **options)
            for gradient in special, np.ones(special.size), special[::-1].copy():
                assert_allclose(*stepped(ours, theirs, gradient), rtol=1e-12)


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_by_name_are_parameter_groups(kind):
    rng = np.random.default_rng(0)
    layer = nn.Linear(3, 3, dtype=np.float64, rng=0)
    W, b = (torch.nn.Parameter(torch.tensor(P.copy())) for P in (layer.W, layer.b))
    torch.set_default_dtype(torch.float64)
    decays = "weight_decay" in OPTIONS[kind]
    ours = getattr(nn, kind)(layer, lr=0.01, lr_factor={"b": 0.5}, **({"weight_decay": {"W": 0.1}} if decays else {}))
    groups = [
        {"params": [W], "lr": 0.01} | ({"weight_decay": 0.1} if decays else {}),
        {"params": [b], "lr": 0.005} | ({"weight_decay": 0.0} if decays else {}),
    ]
    theirs = getattr(torch.optim, kind)(groups)
    for _ in range(20):
        layer.dW, layer.db = rng.normal(size=(3, 3)), rng.normal(size=3)
        W.grad, b.grad = torch.tensor(layer.dW.copy()), torch.tensor(layer.db.copy())
        ours.step()
        theirs.step()
    for own, expected in (layer.W, W), (layer.b, b):
        assert_allclose(own, expected.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_defaults_are_those_of_torch(kind):
    ours = getattr(nn, kind)(nn.Linear(1, 1))
    defaults = getattr(torch.optim, kind)([torch.zeros(1)]).defaults
    assert {name: getattr(ours, name) for name in (*OPTIONS[kind], "lr")} == {
        name: defaults[name] for name in (*OPTIONS[kind], "lr")
    }


class Shapes(nn.Layer, parameters=("number", "vector", "matrix", "stack")):
    """Parameters of all shapes."""

    def __init__(self):
        self.dtype = np.dtype(np.float64)
        for name, shape in {
            "number": (),
            "vector": (5,),
            "matrix": (3, 4),
            "stack": (2, 3, 2),
            "empty": (0, 3),
        }.items():
            setattr(self, name, np.random.default_rng(0).normal(size=shape))


def test_adafactor_factors_matrices_and_stacks_of_them():
    rng = np.random.default_rng(1)
    for options in mixes("Adafactor"):
        layer = Shapes()
        torch.set_default_dtype(torch.float64)
        parameters = {
            name: torch.nn.Parameter(torch.tensor(P.copy())) for name, P in layer.named_parameters() if P.size
        }
        ours = nn.Adafactor(layer, lr=0.3, **options)
        theirs = torch.optim.Adafactor(parameters.values(), lr=0.3, **options)
        for _ in range(10):
            layer.dPhi = rng.normal(size=layer.Phi.size)
            for name, P in parameters.items():
                P.grad = torch.tensor(getattr(layer, f"d{name}").copy())
            ours.step()
            theirs.step()
        with case(options):
            for name, P in parameters.items():
                assert_allclose(getattr(layer, name), P.detach().numpy(), rtol=1e-12, err_msg=name)
            state = [theirs.state[P] for P in parameters.values()]
            for name in ours.arrays:
                their = np.concatenate([np.ravel(each[name].numpy()) for each in state if name in each])
                assert_allclose(getattr(ours, name), their, rtol=1e-12, err_msg=name)
