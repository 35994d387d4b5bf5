"""Declared parameters, and Phi and dPhi, of which each is a view."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn


class Affine(nn.Layer, parameters=("gamma", "beta")):
    """Y = gamma X + beta."""

    def __init__(self, features, beta=True):
        self.gamma = np.ones(features)
        self.beta = np.zeros(features) if beta else None

    def forward(self, X):
        self.X = X = self.check_X(X)
        return self.record_Y(X * self.gamma + (0 if self.beta is None else self.beta))

    def backward(self, dY):
        dY = self.check_dY(dY)
        self.dgamma = np.sum(dY * self.X, axis=0)
        if self.beta is not None:
            self.dbeta = np.sum(dY, axis=0)
        return dY * self.gamma


class Residual(nn.Layer, parameters=("scale",)):
    """Y = X + scale tanh(X W + b): a layer with a parameter of its own and with layers in it."""

    def __init__(self, features):
        self.scale = 0.5
        self.linear = nn.Linear(features, features, rng=3)
        self.inner = nn.Sequential(nn.Tanh(), Affine(features))

    def forward(self, X):
        X = self.check_X(X)
        self.Z = self.inner.forward(self.linear.forward(X))
        return self.record_Y(X + self.scale * self.Z)

    def backward(self, dY):
        dY = self.check_dY(dY)
        self.dscale = np.sum(dY * self.Z)
        return dY + self.linear.backward(self.inner.backward(dY * self.scale))


def model():
    return nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), Affine(3), nn.Linear(3, 1, rng=1))


def names(layer):
    return [name for name, _ in layer.named_parameters()]


def offset(part, whole):
    """Where ``part`` begins in ``whole``, in entries."""
    return (part.ctypes.data - whole.ctypes.data) // whole.itemsize


def in_order(layer):
    """Whether the parameters and the gradients lie in Phi and dPhi one after another without gaps."""
    for flat, named in (layer.Phi, layer.named_parameters()), (layer.dPhi, layer.named_gradients()):
        end = 0
        for _, P in named:
            if not (np.shares_memory(P, flat) and offset(P, flat) == end and P.flags.c_contiguous):
                return False
            end += P.size
        if end != flat.size or flat.ndim != 1 or not flat.flags.c_contiguous:
            return False
    return True


# ----------------------------------------------------------------------------------------- one parameter


@pytest.mark.parametrize("made", [False, True], ids=["before-Phi", "after-Phi"])
def test_assignment_writes_through(made):
    layer = Affine(2)
    if made:
        layer.Phi  # noqa: B018
    held, held_gradient = layer.gamma, layer.dgamma
    layer.gamma = [3, 4]
    layer.dgamma = np.array([5.0, 6.0])
    assert layer.gamma is held
    assert layer.dgamma is held_gradient
    assert_array_equal(held, [3, 4])
    assert_array_equal(held_gradient, [5, 6])
    assert held.dtype == held_gradient.dtype == np.float32


def test_in_place_operators_write_through():
    layer = Affine(2)
    Phi, gamma = layer.Phi, layer.gamma
    layer.gamma -= np.array([0.25, 0.5])
    layer.gamma *= 2
    assert layer.gamma is gamma
    assert_array_equal(Phi, [1.5, 1, 0, 0])


def test_assignment_copies():
    layer, given = Affine(2), np.ones(2, np.float32)
    layer.gamma = given
    given[0] = 7
    assert layer.gamma[0] == 1
    first = np.ones((2, 2), np.float32)
    other = nn.Linear(2, 2, weight_init=lambda shape, dtype, rng: first)
    assert not np.shares_memory(other.W, first)


@pytest.mark.parametrize("name", ["gamma", "dgamma", "Phi", "dPhi"])
@pytest.mark.parametrize("value", [1.0, np.ones(3), np.ones((1, 2)), np.ones((2, 1))], ids=["0d", "3", "1x2", "2x1"])
def test_another_shape_is_an_error(name, value):
    layer = Affine(2, beta=False)
    before = getattr(layer, name).copy()
    with pytest.raises(nn.ShapeError) as caught:
        setattr(layer, name, value)
    assert str(caught.value) == f"Affine(): expected {name} of shape (2,), got {np.shape(value)}"
    assert_array_equal(getattr(layer, name), before)


@pytest.mark.parametrize("value", [None, "ab", [1j, 2], np.ma.masked_array([1.0, 2.0])], ids=str)
def test_what_is_not_real_numbers_is_an_error(value):
    with pytest.raises(TypeError, match=r"Affine\(\): gamma"):
        Affine(2).gamma = value


def test_parameters_of_one_name_keep_apart_from_layer_to_layer():
    a, b = Affine(1), Affine(1)
    a.gamma = [2]
    assert b.gamma == 1


def test_parameters_are_inherited_and_come_first():
    class More(Affine, parameters=("delta",)):
        def __init__(self):
            super().__init__(1)
            self.delta = np.array([4.0])

    assert names(More()) == ["gamma", "beta", "delta"]
    assert names(Affine(1)) == ["gamma", "beta"]
    assert_array_equal(More().Phi, [1, 0, 4])


def test_order_is_that_of_declaration_not_of_assignment():
    class Late(nn.Layer, parameters=("first", "second")):
        def __init__(self):
            self.second = np.array([2.0])
            self.first = np.array([1.0])

    assert_array_equal(Late().Phi, [1, 2])


def test_a_parameter_of_no_axes():
    layer = Residual(2)
    layer.Phi  # noqa: B018
    layer.scale -= 0.25
    layer.scale = layer.scale * 2
    assert layer.Phi[0] == layer.scale == 0.5
    assert layer.scale.shape == ()


def test_parameters_given_as_a_string_are_an_error():
    with pytest.raises(TypeError, match="parameters: expected a tuple of names, got the string 'W'; add a comma"):

        class Wrong(nn.Layer, parameters="W"):
            pass


def test_another_word_in_the_class_line_is_an_error():
    with pytest.raises(TypeError):

        class Wrong(nn.Layer, params=("W",)):
            pass


def test_a_parameter_that_is_None_is_not_there():
    layer = Affine(2, beta=False)
    assert layer.beta is layer.dbeta is None
    assert names(layer) == ["gamma"]
    assert [name for name, _ in layer.named_gradients()] == ["gamma"]
    assert layer.Phi.size == 2
    assert nn.check_gradients(layer, np.array([[1.0, 2.0]])).right


def test_the_gradient_of_a_parameter_that_is_None_is_an_error():
    with pytest.raises(nn.StateError, match="dbeta is assigned, but beta has no value"):
        Affine(2, beta=False).dbeta = [1, 2]


def test_the_first_value_comes_before_Phi():
    layer = Affine(2, beta=False)
    layer.beta = [5, 6]
    assert_array_equal(layer.Phi, [1, 1, 5, 6])
    late = Affine(2, beta=False)
    late.Phi  # noqa: B018
    with pytest.raises(nn.StateError, match=r"Affine\(\): beta gets its first value after Phi was made.*__init__"):
        late.beta = [5, 6]


def test_dtype_set_before_the_first_value_is_its_dtype():
    class Double(nn.Layer, parameters=("w",)):
        dtype = np.dtype(np.float64)

        def __init__(self):
            self.w = [1, 2]

    assert Double().w.dtype == Double().dw.dtype == Double().Phi.dtype == np.float64


def test_gradients_start_at_0():
    assert not model().dPhi.any()
    layer = Affine(2)
    layer.dgamma = [1, 2]
    assert_array_equal(layer.dPhi, [1, 2, 0, 0])


# ---------------------------------------------------------------------------------------- Phi and dPhi


@pytest.mark.parametrize("make", [lambda: Affine(3), model, lambda: Residual(2), lambda: nn.Sequential(Residual(2))])
def test_every_parameter_is_a_view_in_order_of_definition(make):
    layer = make()
    assert in_order(layer)
    assert layer.Phi.size == sum(P.size for P in layer.state_dict().values()) > 0
    for _, part in layer.named_layers():
        assert in_order(part)


def test_joining_a_model_keeps_the_values():
    parts = [nn.Linear(2, 3, rng=0), Affine(3)]
    parts[1].gamma, parts[1].dgamma = [1, 2, 3], [4, 5, 6]
    W = parts[0].W.copy()
    whole = nn.Sequential(*parts)
    assert_array_equal(whole.Phi, [*W.ravel(), 0, 0, 0, 1, 2, 3, 0, 0, 0])
    assert_array_equal(whole.dPhi, [0] * 9 + [4, 5, 6, 0, 0, 0])


def test_a_part_is_a_slice_of_the_whole():
    whole = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 1)), nn.Linear(1, 1))
    for flat in ("Phi", "dPhi"):
        parts = [getattr(part, flat) for part in whole]
        assert [offset(part, getattr(whole, flat)) for part in parts] == [0, 9, 13]
        assert [part.size for part in parts] == [9, 4, 2]
        assert offset(getattr(whole[1][1], flat), getattr(whole, flat)) == 9


def test_asking_twice_gives_the_same_arrays():
    whole = model()
    held = [(layer.Phi, layer.dPhi) for _, layer in whole.named_layers()]
    whole.forward(np.ones((1, 2)))
    whole.backward(np.ones((1, 1)))
    whole.load_state_dict(whole.state_dict())
    whole.Phi = whole.Phi * 2
    whole.Phi -= 0.1 * whole.dPhi
    whole[0].W = whole[0].W + 1
    for (Phi, dPhi), (_, layer) in zip(held, whole.named_layers(), strict=True):
        assert layer.Phi is Phi
        assert layer.dPhi is dPhi


@pytest.mark.parametrize("method", ["BFGS", "CG", "Newton-CG", "L-BFGS-B"])
def test_an_optimizer_of_scipy_gets_copies_of_Phi_and_dPhi(method):
    """Some keep the gradient and compare it with the next one, which must be another array; see the docstring of Phi.

    The right value is the solution of the normal equations.
    """
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    model, loss = nn.Linear(3, 2, rng=0, dtype=np.float64), nn.MSELoss()

    def J_and_gradient(Phi):
        model.Phi = Phi
        J = loss.forward(model.forward(X), Y)
        model.backward(loss.backward())
        return J, model.dPhi.copy()

    assert ".copy()" in inspect.getdoc(nn.Layer.Phi)
    found = minimize(J_and_gradient, model.Phi.copy(), jac=True, method=method, tol=1e-8)
    A = np.c_[X, np.ones(20)]
    best = A @ np.linalg.lstsq(A, Y)[0] - Y
    assert found.fun == pytest.approx(np.mean(best**2), abs=1e-9)


def test_dPhi_may_be_asked_for_first():
    layer = Affine(2)
    dPhi = layer.dPhi
    layer.dbeta = [1, 2]
    assert_array_equal(dPhi, [0, 0, 1, 2])
    assert layer.dPhi is dPhi


def test_setting_Phi_writes_into_it():
    layer = Affine(2)
    Phi, dPhi = layer.Phi, layer.dPhi
    layer.Phi = [1, 2, 3, 4]
    layer.dPhi = np.array([5, 6, 7, 8])
    assert layer.Phi is Phi
    assert layer.dPhi is dPhi
    assert_array_equal(layer.beta, [3, 4])
    assert_array_equal(layer.dgamma, [5, 6])


def test_a_step_is_one_line():
    layer = nn.Linear(1, 1)
    layer.Phi, layer.dPhi = [1, 2], [10, 20]
    layer.Phi -= 0.1 * layer.dPhi
    assert layer.W == layer.b == 0


def test_without_parameters_Phi_is_empty():
    for layer in (nn.Tanh(), nn.Sequential(), nn.Sequential(nn.Tanh()), nn.MSELoss()):
        assert layer.Phi.shape == layer.dPhi.shape == (0,)
        assert layer.Phi.dtype == np.float32


# --------------------------------------------------------------------------------------- who owns what


def test_a_layer_in_two_models_is_an_error():
    shared, free = nn.Linear(2, 2), nn.Linear(2, 2)
    first = nn.Sequential(shared)
    with pytest.raises(ValueError, match=r"Linear\(2 -> 2\) already belongs to another model.*deepcopy"):
        nn.Sequential(free, shared)
    assert in_order(first)
    assert in_order(nn.Sequential(free, copy.deepcopy(shared)))


def test_a_nested_part_in_another_model_is_an_error():
    whole = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    for taken in (whole[0], whole[0][0], whole[:1]):
        with pytest.raises(ValueError, match="already belongs"):
            nn.Sequential(taken)
    assert in_order(whole)


@pytest.mark.parametrize("nest", [lambda layer: layer, nn.Sequential], ids=["plain", "nested"])
def test_one_layer_twice_is_an_error(nest):
    layer, free = nn.Tanh(), nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"Tanh\(\): the same layer object is used twice in one model.*tied"):
        nn.Sequential(layer, free, layer)
    whole = nn.Sequential(layer, nest(free))
    assert in_order(whole)


def test_one_layer_twice_in_a_composite_is_an_error():
    class Twice(nn.Layer):
        def __init__(self):
            self.a = self.b = nn.Linear(2, 2)

    with pytest.raises(ValueError, match="the same layer object is used twice"):
        Twice().Phi  # noqa: B018


def test_mixed_dtypes_are_an_error_that_names_them():
    single, double = nn.Linear(2, 2), nn.Linear(2, 2, dtype=np.float64)
    with pytest.raises(ValueError, match=r"one model, one dtype.*0\.W is float32, 0\.b is float32, 1\.W is float64"):
        nn.Sequential(single, double)
    assert single.W.dtype == np.float32
    assert double.W.dtype == np.float64
    whole = nn.Sequential(single.astype(np.float64), double)
    assert in_order(whole)
    assert whole.Phi.dtype == np.float64


def test_layers_without_parameters_take_the_models_dtype():
    whole = nn.Sequential(nn.Tanh(), nn.Linear(2, 2, dtype=np.float64))
    assert whole.dtype == whole[0].dtype == np.float64
    assert whole.forward([[1, 2]]).dtype == np.float64


# ------------------------------------------------------------------------------------------------ astype


def test_astype_converts_all_in_place():
    whole = nn.Sequential(nn.Tanh(), Residual(2))
    values, gradients = whole.Phi.copy(), np.arange(whole.dPhi.size)
    whole.dPhi = gradients
    assert whole.astype("float64") is whole
    assert in_order(whole)
    assert all(layer.dtype == np.float64 for _, layer in whole.named_layers())
    assert {P.dtype for _, P in [*whole.named_parameters(), *whole.named_gradients()]} == {np.dtype(np.float64)}
    assert_array_equal(whole.Phi, values)
    assert_array_equal(whole.dPhi, gradients)
    assert nn.check_gradients(whole, np.array([[0.5, -1.0]])).right


@pytest.mark.parametrize("dtype", [int, complex, "U3", ">f8"])
def test_astype_takes_floating_types_only(dtype):
    with pytest.raises(TypeError, match=r"expected a floating type such as np.float32"):
        nn.Linear(2, 2).astype(dtype)


def test_astype_of_a_part_is_an_error():
    whole = model()
    for part in (whole[0], whole[:2]):
        with pytest.raises(ValueError, match="is part of a model, which has one dtype; call astype on the whole"):
            part.astype(np.float64)
    assert in_order(whole)


@pytest.mark.parametrize(
    "make",
    [
        lambda: copy.deepcopy(model()).astype(np.float64),
        lambda: pickle.loads(pickle.dumps(model())).astype(np.float64),
        lambda: nn.Sequential(Residual(2)).astype(np.float64)[0],
        lambda: Residual(2).astype(np.float64),
    ],
    ids=["deepcopy", "pickle", "part", "composite"],
)
def test_after_astype_the_parts_still_belong_to_the_model(make):
    whole = make()
    part = next(child for _, child in whole.named_children() if child.Phi.size)
    with pytest.raises(ValueError, match="call astype on the whole"):
        part.astype(np.float32)
    with pytest.raises(ValueError, match="already belongs"):
        nn.Sequential(part)
    assert in_order(whole)


def test_backward_after_astype_needs_a_new_forward():
    for layer in (nn.Linear(2, 2), nn.Tanh(), nn.Sequential(nn.Tanh())):
        layer.forward(np.ones((1, 2)))
        layer.astype(np.float64)
        with pytest.raises(nn.StateError, match=r"call forward"):
            layer.backward(np.ones((1, 2)))


# ---------------------------------------------------------------------------------------------- copies


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda layer: pickle.loads(pickle.dumps(layer))}


@pytest.mark.parametrize("copied", COPIES)
def test_copies_rebuild_their_views(copied):
    for layer in (model(), Residual(2), nn.Sequential(Residual(2))):
        layer.dPhi = np.arange(layer.dPhi.size)
        other = COPIES[copied](layer)
        assert in_order(other)
        assert in_order(layer)
        assert not np.shares_memory(other.Phi, layer.Phi)
        assert_array_equal(other.Phi, layer.Phi)
        assert_array_equal(other.dPhi, layer.dPhi)


@pytest.mark.parametrize("copied", COPIES)
def test_in_a_copy_a_part_asked_first_stays_a_slice_of_the_whole(copied):
    other = COPIES[copied](model())
    part, W = other[3].Phi, other[0].W
    whole = other.Phi
    assert other[3].Phi is part
    assert other[0].W is W
    assert np.shares_memory(part, whole)
    assert np.shares_memory(W, whole)


@pytest.mark.parametrize("copied", COPIES)
def test_the_parts_of_a_copy_belong_to_the_copy(copied):
    other = COPIES[copied](model())
    with pytest.raises(ValueError, match="already belongs"):
        nn.Sequential(other[0])


@pytest.mark.parametrize("copied", COPIES)
def test_in_a_copy_dPhi_may_be_asked_for_first(copied):
    layer = Affine(2)
    layer.dPhi = np.arange(4)
    other = COPIES[copied](layer)
    dPhi = other.dPhi
    other.dbeta = [7, 8]
    assert_array_equal(dPhi, [0, 1, 7, 8])


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_can_grow_and_keeps_its_parts(copied):
    other = COPIES[copied](model()).append(nn.Linear(1, 2))
    assert in_order(other)
    with pytest.raises(ValueError, match="already belongs"):
        nn.Sequential(other[0])


@pytest.mark.parametrize("copied", COPIES)
def test_a_copied_part_is_free(copied):
    whole = model()
    part = COPIES[copied](whole[0]).astype(np.float64)
    assert in_order(nn.Sequential(part, nn.Tanh()))
    assert in_order(whole)
    assert whole.Phi.dtype == np.float32


@pytest.mark.parametrize("copied", COPIES)
def test_a_copied_slice_is_a_model_of_its_own(copied):
    whole = model()
    part = COPIES[copied](whole[2:])
    part.Phi = np.arange(10)
    assert in_order(part)
    assert in_order(whole)
    assert_array_equal(part[0].beta, [3, 4, 5])
    assert len(part.append(nn.Linear(1, 2))) == 3
    assert in_order(part)


def test_a_shallow_copy_is_refused():
    with pytest.raises(TypeError, match=r"Sequential\(4 layers\): a shallow copy.*use copy.deepcopy"):
        copy.copy(model())


# ------------------------------------------------------------------------------------------------ by name


def test_names_are_paths():
    whole = nn.Sequential(Residual(2), nn.Sequential(nn.Tanh(), nn.Linear(2, 1, bias=False)))
    expected = ["0.scale", "0.linear.W", "0.linear.b", "0.inner.1.gamma", "0.inner.1.beta", "1.1.W"]
    assert names(whole) == expected
    assert [name for name, _ in whole.named_gradients()] == expected
    assert list(whole.state_dict()) == expected
    paths = ["", "0", "0.linear", "0.inner", "0.inner.0", "0.inner.1", "1", "1.0", "1.1"]
    assert [path for path, _ in whole.named_layers()] == paths
    assert [name for name, _ in whole[0].named_children()] == ["linear", "inner"]


def test_named_arrays_are_the_arrays_themselves():
    whole = model()
    assert dict(whole.named_parameters())["0.W"] is whole[0].W
    assert dict(whole.named_gradients())["0.W"] is whole[0].dW


def test_load_state_dict_writes_into_the_arrays():
    whole, other = model(), model()
    other.Phi = np.arange(other.Phi.size)
    Phi, W = whole.Phi, whole[0].W
    whole.load_state_dict(other.state_dict())
    assert whole.Phi is Phi
    assert whole[0].W is W
    assert_array_equal(Phi, np.arange(Phi.size))


def test_load_state_dict_lists_every_mismatch_and_loads_nothing():
    whole = model()
    before = whole.Phi.copy()
    state = {name: P + 1 for name, P in whole.state_dict().items()}
    del state["0.b"]
    state["5.W"] = np.zeros(2)
    state["0.W"] = np.zeros((3, 2), np.float32)
    state["3.b"] = np.zeros(1)
    with pytest.raises(ValueError, match=r"does not fit, nothing was loaded") as caught:
        whole.load_state_dict(state)
    assert str(caught.value).splitlines()[0].startswith("Sequential(4 layers): ")
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "0.b: missing, expected (3,) float32",
        "5.W: unknown, got (2,) float64",
        "0.W: expected (2, 3) float32, got (3, 2) float32",
        "3.b: expected (1,) float32, got (1,) float64",
    ]
    assert_array_equal(whole.Phi, before)


def test_load_state_dict_takes_the_models_own_arrays_in_another_order():
    whole = nn.Sequential(Affine(2), Affine(2))
    whole.Phi = np.arange(8)
    swapped = {"0.gamma": whole[1].gamma, "0.beta": whole[1].beta, "1.gamma": whole[0].gamma, "1.beta": whole[0].beta}
    whole.load_state_dict(swapped)
    assert_array_equal(whole.Phi, [4, 5, 6, 7, 0, 1, 2, 3])


# --------------------------------------------------------------------------------- composite layers


def test_composite_layers_are_right_alone_and_in_a_model():
    X = np.array([[0.3, -0.7], [1.1, 0.2]])
    for layer in (Residual(2), nn.Sequential(nn.Linear(2, 2, rng=0), Residual(2), nn.Sequential(Residual(2)))):
        assert nn.check_gradients(layer, X).right


def test_composite_layers_pass_the_mode_on():
    whole = nn.Sequential(Residual(2)).eval()
    assert not any(layer.training for _, layer in whole.named_layers())


def test_composite_layers_print_their_tree():
    assert repr(nn.Sequential(Residual(2))) == (
        "Sequential(\n"
        "  (0): Residual(\n"
        "    (linear): Linear(2 -> 2)\n"
        "    (inner): Sequential(\n"
        "      (0): Tanh()\n"
        "      (1): Affine()\n"
        "    )\n"
        "  )\n"
        ")"
    )


def test_the_twin_of_a_composite_is_made_of_twins():
    layer = Residual(2)
    layer.Phi  # noqa: B018
    twin = layer.evaluation_twin()
    Y = twin.forward(np.ones((1, 2)))
    assert_array_equal(Y, layer.forward(np.ones((1, 2))))
    assert twin.linear is not layer.linear
    assert twin.inner[1] is not layer.inner[1]
    assert twin.inner[1].gamma is layer.inner[1].gamma


def test_an_optimizer_takes_a_part():
    whole = nn.Sequential(Residual(2), nn.Linear(2, 1))
    before = whole.state_dict()
    whole.forward(np.ones((1, 2)))
    whole.backward(np.ones((1, 1)))
    nn.SGD(whole[0], lr=0.1).step()
    for name, P in whole.named_parameters():
        assert np.array_equal(P, before[name]) == name.startswith("1.")
