"""Sequential: a chain of layers."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nnlite as nn


def model():
    return nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1), nn.Sigmoid())


def all_notes(error):
    return [*getattr(error, "__notes__", [])]


class Watched(nn.Identity):
    """An Identity that keeps every dY that comes by, and what needs_dX was."""

    def __init__(self):
        self.seen = []

    def backward(self, dY):
        self.seen.append(self.needs_dX)
        return super().backward(dY)


class Faulty(nn.Identity):
    def forward(self, X):
        if np.any(X == 13):
            raise ArithmeticError("forward failed")
        return super().forward(X)

    def backward(self, dY):
        raise ArithmeticError("backward failed")


# ------------------------------------------------------------------------------------------ the chain


def test_forward_and_backward_are_those_of_the_layers_in_turn():
    whole, parts = model(), model().layers
    X, dY = np.linspace(-1, 1, 6).reshape(2, 3), np.array([[1.0, -2.0], [0.5, 3.0]])
    Y, d = X, dY
    for layer in parts:
        Y = layer.forward(Y)
    for layer in reversed(parts):
        d = layer.backward(d)
    assert_array_equal(whole.forward(X), Y)
    assert_array_equal(whole.backward(dY), d)
    assert_array_equal(whole.dPhi, np.concatenate([layer.dPhi for layer in parts]))


def test_nesting_changes_nothing():
    flat = model()
    nested = nn.Sequential(copy.deepcopy(flat[:2]), nn.Sequential(copy.deepcopy(flat[2:])))
    X, dY = np.ones((2, 3)), np.ones((2, 2))
    assert_array_equal(nested.forward(X), flat.forward(X))
    assert_array_equal(nested.backward(dY), flat.backward(dY))
    assert_array_equal(nested.dPhi, flat.dPhi)


def test_an_empty_chain_is_the_identity():
    empty, X = nn.Sequential(), np.array([[1.0, 2.0]])
    assert_array_equal(empty.forward(X), X)
    assert_array_equal(empty.backward(X), X)
    assert len(empty) == 0
    assert list(empty) == []
    assert repr(empty) == empty.one_line() == "Sequential()"
    assert empty.forward([[1, 2]]).dtype == np.float32


# ------------------------------------------------------------------------------------------ a list


def test_index_length_and_iteration():
    whole = model()
    assert len(whole) == 4
    assert whole[0] is whole.layers[0]
    assert whole[-1] is whole.layers[3]
    assert whole[np.int64(2)] is whole.layers[2]
    assert list(whole) == whole.layers
    assert whole[1] in list(whole)


@pytest.mark.parametrize("index", [4, -5])
def test_an_index_too_far_is_an_error(index):
    with pytest.raises(IndexError):
        model()[index]


@pytest.mark.parametrize("index", ["0", 1.0, None])
def test_an_index_that_is_no_whole_number_is_an_error(index):
    with pytest.raises(TypeError):
        model()[index]


@pytest.mark.parametrize(
    ("index", "layers", "place"),
    [
        (slice(None), [0, 1, 2, 3], slice(0, 26)),
        (slice(0, 1), [0], slice(0, 16)),
        (slice(2), [0, 1], slice(0, 16)),
        (slice(1, None), [1, 2, 3], slice(16, 26)),
        (slice(-2, None), [2, 3], slice(16, 26)),
        (slice(3, 100), [3], slice(26, 26)),
        (slice(2, 1), [], slice(16, 16)),
    ],
)
def test_a_slice_shares_layers_and_Phi(index, layers, place):
    whole = model()
    whole.Phi, whole.dPhi = np.arange(26), np.arange(26) + 100
    part = whole[index]
    assert isinstance(part, nn.Sequential)
    assert part.layers == [whole.layers[i] for i in layers]
    assert_array_equal(part.Phi, whole.Phi[place])
    assert_array_equal(part.dPhi, whole.dPhi[place])
    part.Phi, part.dPhi = part.Phi * 2, part.dPhi * 3
    assert_array_equal(whole.Phi[place], part.Phi)
    assert_array_equal(whole.dPhi[place], part.dPhi)
    assert part.Phi.size == sum(P.size for _, P in part.named_parameters())


def test_a_slice_of_a_slice():
    whole = model()
    part = whole[1:][1:2]
    part.Phi = np.zeros(10)
    assert not whole[2].W.any()
    assert not whole[2].b.any()
    assert whole[0].W.any()


def test_slices_are_encoder_and_decoder():
    whole, X = model(), np.ones((2, 3))
    code = whole[:2].forward(X)
    assert_array_equal(whole[2:].forward(code), whole.forward(X))
    assert whole[:2].dtype == np.float32
    assert model().astype(np.float64)[1:2].dtype == np.float64


@pytest.mark.parametrize("step", [2, -1])
def test_a_slice_with_a_step_is_an_error(step):
    with pytest.raises(ValueError, match=f"Sequential: a slice takes neighbouring layers, expected step 1, got {step}"):
        model()[::step]


def test_taking_a_slice_takes_nothing_from_the_model():
    whole = model()
    Phi = whole.Phi
    whole[1:3].train(False)
    assert whole.Phi is Phi
    assert [layer.training for layer in whole] == [True, False, False, True]
    assert whole.training
    assert not whole._adopted


def test_a_slice_does_not_lose_the_model_that_grows():
    whole = model()
    part = whole[:2]
    whole.append(nn.Linear(2, 1))
    assert np.shares_memory(part.Phi, whole.Phi)
    part.Phi = np.zeros(16)
    assert not whole[0].W.any()


def test_a_slice_does_not_lose_the_model_whose_dtype_changes():
    whole = model()
    part = whole[:2]
    whole.astype(np.float64)
    assert part.Phi.dtype == np.float64
    assert np.shares_memory(part.Phi, whole.Phi)


# ------------------------------------------------------------------------------------------ append


def test_append_makes_the_model_that_one_would_have_built():
    grown, whole = nn.Sequential(), model()
    for layer in model():
        assert grown.append(copy.deepcopy(layer)) is grown
    assert repr(grown) == repr(whole)
    assert_array_equal(grown.Phi, whole.Phi)
    X, dY = np.ones((2, 3)), np.ones((2, 2))
    assert_array_equal(grown.forward(X), whole.forward(X))
    assert_array_equal(grown.backward(dY), whole.backward(dY))
    assert grown.needs_dX is True
    assert np.shares_memory(grown[2].W, grown.Phi)


def test_append_keeps_values_and_gradients():
    whole = model()
    whole.Phi, whole.dPhi = np.arange(26), np.arange(26) + 100
    whole.append(nn.Linear(2, 1))
    assert_array_equal(whole.Phi[:26], np.arange(26))
    assert_array_equal(whole.dPhi[:26], np.arange(26) + 100)
    assert whole.Phi.size == 29


owned = nn.Sequential(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (lambda whole: 3, TypeError, "Sequential: layer 4: expected a Layer, got 3"),
        (lambda whole: nn.Tanh, TypeError, r"expected a Layer, got the class itself; write Tanh\(...\)"),
        (lambda whole: [nn.Tanh()], TypeError, "expected a Layer, got a list; write model.extend"),
        (
            lambda whole: nn.Linear(5, 1),
            nn.ShapeError,
            r"\[2\] Linear\(4 -> 2\) outputs \(..., 2\), but .*\[4\] ",
        ),
        (lambda whole: whole[1], ValueError, r"Tanh\(\): the same layer object is used twice"),
        (lambda whole: owned[0], ValueError, "already belongs to another model"),
        (lambda whole: nn.Linear(2, 2, dtype=np.float64), ValueError, r"one dtype.*4\.W is float64"),
    ],
    ids=["number", "class", "list", "width", "twice", "owned", "dtype"],
)
def test_an_error_of_append_leaves_the_model_as_it_was(layer, error, message):
    whole = model()
    layers, Phi, shown = list(whole), whole.Phi, repr(whole)
    with pytest.raises(error, match=message):
        whole.append(layer(whole))
    assert list(whole) == layers
    assert whole.Phi is Phi
    assert repr(whole) == shown
    assert np.shares_memory(whole[0].W, Phi)
    whole.backward(np.ones_like(whole.forward(np.ones((1, 3)))))
    assert len(whole.append(nn.Linear(2, 1))) == 5


def test_a_layer_that_append_refused_is_still_free():
    layer = nn.Linear(5, 1)
    with pytest.raises(nn.ShapeError):
        model().append(layer)
    assert np.shares_memory(nn.Sequential(layer).Phi, layer.W)


def test_a_part_of_a_model_cannot_grow():
    whole = nn.Sequential(nn.Sequential(nn.Tanh()), nn.Linear(2, 2))
    for part in (whole[0], whole[:1]):
        with pytest.raises(
            ValueError, match=r"Sequential\(1 layers\) is part of a larger model, whose Phi is fixed; change it before"
        ):
            part.append(nn.Tanh())
        assert len(part) == 1


# ------------------------------------------------------------------------------------------ what it takes


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((3,), "^Sequential: layer 0: expected a Layer, got 3$"),
        ((nn.Tanh(), None), "^Sequential: layer 1: expected a Layer, got None$"),
        (([nn.Tanh()],), r"^Sequential: layer 0: expected a Layer, got a list; write Sequential\(\*layers\)$"),
        (((nn.Tanh(),),), r"^Sequential: layer 0: expected a Layer, got a tuple; write Sequential\(\*layers\)$"),
        ((nn.Linear,), r"^Sequential: layer 0: expected a Layer, got the class itself; write Linear\(...\)$"),
        ((np.tanh,), "^Sequential: layer 0: expected a Layer, got <ufunc 'tanh'>$"),
        ((int,), "^Sequential: layer 0: expected a Layer, got <class 'int'>$"),
    ],
    ids=["number", "None", "list", "tuple", "class", "function", "other-class"],
)
def test_what_is_no_layer_is_an_error(wrong, message):
    with pytest.raises(TypeError, match=message):
        nn.Sequential(*wrong)


@pytest.mark.parametrize(
    ("layers", "giver", "taker"),
    [
        (lambda: [nn.Linear(3, 4), nn.Linear(5, 2)], "[0] Linear(3 -> 4)", "[1] Linear(5 -> 2)"),
        (
            lambda: [nn.Linear(3, 4), nn.Tanh(), nn.Softmax(), nn.Identity(), nn.Linear(5, 2)],
            "[0] Linear(3 -> 4)",
            "[4] Linear(5 -> 2)",
        ),
        (
            lambda: [nn.Linear(3, 4), nn.Sequential(nn.Sigmoid(), nn.Sequential(nn.Linear(5, 2)))],
            "[0] Linear(3 -> 4)",
            "[1] Sequential(2 layers)",
        ),
        (
            lambda: [nn.Sequential(nn.Linear(3, 4), nn.ReLU()), nn.Sequential(), nn.LogSoftmax(), nn.Linear(5, 2)],
            "[0] Sequential(2 layers)",
            "[3] Linear(5 -> 2)",
        ),
    ],
    ids=["neighbours", "through-activations", "into-nested", "out-of-nested"],
)
def test_widths_that_do_not_meet_are_an_error_that_names_both(layers, giver, taker):
    with pytest.raises(nn.ShapeError) as caught:
        nn.Sequential(*layers())
    message = str(caught.value)
    assert message.startswith(f"Sequential{giver} outputs (..., 4), but Sequential{taker} does not accept it")
    assert "Linear(5 -> 2): expected 5 features, got 4" in message


def test_layers_of_which_one_did_not_fit_are_still_free():
    layers = [nn.Linear(3, 4), nn.Linear(5, 2)]
    with pytest.raises(nn.ShapeError):
        nn.Sequential(*layers)
    for layer in layers:
        assert len(nn.Sequential(layer)) == 1


def test_widths_behind_a_layer_that_does_not_know_its_own_are_not_checked():
    class Unknown(nn.Layer):
        pass

    assert nn.Sequential(nn.Linear(3, 4), Unknown(), nn.Linear(5, 2)).output_shape((..., 3)) == (..., 2)
    assert nn.Sequential(nn.Linear(3, 4), nn.Flatten(), nn.Linear(5, 2)).output_shape((...,)) == (..., 2)


def test_output_shape_is_that_of_the_last():
    assert model().output_shape((..., 3)) == model().output_shape((...,)) == (..., 2)
    assert nn.Sequential().output_shape((5, 7)) == (5, 7)
    assert nn.Sequential(nn.Tanh()).output_shape((...,)) == (...,)
    with pytest.raises(nn.ShapeError):
        model().output_shape((None, 4))


# ------------------------------------------------------------------------------------------ the place of an error


def test_an_error_in_forward_names_the_place():
    whole = nn.Sequential(nn.Tanh(), nn.Sequential(nn.Tanh(), nn.Linear(3, 2)), nn.Sigmoid())
    with pytest.raises(nn.ShapeError, match=r"Linear\(3 -> 2\): expected 3 features, got 4") as caught:
        whole.forward(np.ones((1, 4)))
    assert all_notes(caught.value) == ["in Sequential[1] Linear(3 -> 2)", "in Sequential[1] Sequential(2 layers)"]


def test_an_error_in_backward_names_the_place():
    whole = nn.Sequential(nn.Sequential(nn.Tanh(), Faulty()), nn.Tanh())
    whole.forward(np.ones((1, 4)))
    with pytest.raises(ArithmeticError, match="backward failed") as caught:
        whole.backward(np.ones((1, 4)))
    assert all_notes(caught.value) == ["in Sequential[1] Faulty()", "in Sequential[0] Sequential(2 layers)"]


def test_an_error_of_the_whole_has_no_place():
    for whole in (model(), nn.Sequential()):
        with pytest.raises(nn.StateError) as caught:
            whole.backward(np.ones((1, 2)))
        assert all_notes(caught.value) == []
        whole.forward(np.ones((1, 3)))
        with pytest.raises(nn.ShapeError, match=r"^Sequential\(") as caught:
            whole.backward(np.ones((1, 9)))
        assert all_notes(caught.value) == []


def test_after_a_forward_that_failed_half_way_there_is_nothing_to_go_back_through():
    whole = nn.Sequential(nn.Linear(2, 2, rng=0), Faulty(), nn.Linear(2, 2, rng=1))
    whole[0].W, whole[0].b = np.eye(2), np.zeros(2)
    whole.forward([[1, 2]])
    with pytest.raises(ArithmeticError):
        whole.forward([[13, 13]])
    with pytest.raises(nn.StateError):  # dW of the first layer would be that of [13, 13]
        whole.backward(np.ones((1, 2)))


class ForgetsY(nn.Layer):
    def forward(self, X):
        self.X = X


class ForgetsDX(nn.Layer):
    def forward(self, X):
        return 2 * X

    def backward(self, dY):
        self.dY = dY


@pytest.mark.parametrize("index", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_layer_that_forgets_to_return_Y_is_named(index):
    layers = [nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)]
    layers[index] = ForgetsY()
    with pytest.raises(TypeError) as caught:
        nn.Sequential(*layers).forward(np.ones((1, 2)))
    message = "\n".join([str(caught.value), *all_notes(caught.value)])
    assert f"Sequential[{index}] ForgetsY()" in message
    assert "None" in message


@pytest.mark.parametrize("index", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_layer_that_forgets_to_return_dX_is_named(index):
    layers = [nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)]
    layers[index] = ForgetsDX()
    whole = nn.Sequential(*layers)
    whole.forward(np.ones((1, 2)))
    with pytest.raises(TypeError) as caught:
        whole.backward(np.ones((1, 2)))
    message = "\n".join([str(caught.value), *all_notes(caught.value)])
    assert f"Sequential[{index}] ForgetsDX()" in message
    assert "None" in message


# ------------------------------------------------------------------------------------------ needs_dX


def nested_model():
    return nn.Sequential(
        nn.Flatten(), nn.Sequential(Watched(), nn.Linear(4, 3, rng=0), nn.Tanh()), Watched(), nn.Linear(3, 1, rng=1)
    )


def test_without_needs_dX_the_first_layer_gives_none_and_the_gradients_are_the_same():
    with_dX, without = model(), model()
    without.needs_dX = False
    assert not without[0].needs_dX
    assert [layer.needs_dX for layer in without[1:]] == [True] * 3
    X, dY = np.ones((2, 3)), np.ones((2, 2))
    for whole in (with_dX, without):
        whole.forward(X)
    assert with_dX.backward(dY).shape == (2, 3)
    assert without.backward(dY) is None
    assert_array_equal(without.dPhi, with_dX.dPhi)
    assert without.dPhi.all()
    assert without[0].backward(np.ones((2, 4))) is None


def test_without_needs_dX_the_walk_ends_at_the_first_layer_with_parameters():
    with_dX, without = nested_model(), nested_model()
    without.needs_dX = False
    for whole in (with_dX, without):
        whole.forward(np.linspace(-1, 1, 8).reshape(2, 2, 2))
        whole.backward(np.ones((2, 1)))
    assert_array_equal(without.dPhi, with_dX.dPhi)
    assert without[1][0].seen == []
    assert without[2].seen == [True]
    assert without[1].needs_dX is without[1][1].needs_dX is False


def test_needs_dX_can_be_put_back():
    whole = nested_model()
    whole.needs_dX = False
    assert whole.needs_dX is False
    whole.needs_dX = True
    assert all(layer.needs_dX is True for _, layer in whole.named_layers())
    whole.forward(np.ones((2, 2, 2)))
    assert whole.backward(np.ones((2, 1))).shape == (2, 2, 2)
    assert whole[1][0].seen == [True]


def test_needs_dX_of_chains_without_parameters():
    for whole in (nn.Sequential(), nn.Sequential(nn.Tanh(), Watched())):
        whole.needs_dX = False
        whole.forward(np.ones((1, 2)))
        assert whole.backward(np.ones((1, 2))) is None
        whole.needs_dX = True
        assert whole.backward(np.ones((1, 2))).shape == (1, 2)


def test_a_layer_that_knows_nothing_of_needs_dX_is_still_right():
    class Scale(nn.Layer, parameters=("w",)):
        def __init__(self):
            self.w = [2.0]

        def forward(self, X):
            self.X = X
            return X * self.w

        def backward(self, dY):
            self.dw = [np.sum(dY * self.X)]
            return dY * self.w

    whole = nn.Sequential(Scale(), nn.Tanh())
    whole.needs_dX = False
    whole.forward(np.zeros((1, 2)))
    assert whole.backward(np.ones((1, 2))) is None
    whole.forward(np.full((1, 2), 1e-4))
    whole.backward(np.ones((1, 2)))
    assert whole[0].dw == pytest.approx([2e-4], rel=1e-5)


def test_append_keeps_to_needs_dX():
    whole = nn.Sequential(nn.Flatten())
    whole.needs_dX = False
    whole.append(nn.Linear(4, 2)).append(nn.Linear(2, 1))
    assert [layer.needs_dX for layer in list(whole)[1:]] == [False, True]
    whole.forward(np.ones((1, 2, 2)))
    assert whole.backward(np.ones((1, 1))) is None
    assert whole[1].dW.any()


def test_a_copy_keeps_needs_dX():
    whole = nested_model()
    whole.needs_dX = False
    other = copy.deepcopy(whole)
    other.forward(np.ones((1, 2, 2)))
    assert other.backward(np.ones((1, 1))) is None
    other.needs_dX = True
    assert other.backward(np.ones((1, 1))).shape == (1, 2, 2)
    assert whole.needs_dX is whole[1][1].needs_dX is False


def test_a_gradient_stays_floating_where_the_output_is_not():
    class Rounded(nn.Layer):
        """Straight through: the gradient of the identity."""

        def forward(self, X):
            return np.rint(X).astype(int)

        def backward(self, dY):
            return dY

    whole = nn.Sequential(nn.Linear(2, 1, rng=0), Rounded())
    whole.forward(np.ones((2, 2)))
    whole.backward(np.array([[0.25], [-0.5]]))
    assert_array_equal(whole[0].db, [-0.25])


def test_a_slice_of_a_subclass_leaves_its_own_parameters_out():
    class Scaled(nn.Sequential, parameters=("gamma",)):
        def __init__(self, *layers):
            self.gamma = np.full(2, 7.0)
            super().__init__(*layers)

    whole = Scaled(nn.Linear(3, 2, rng=0), nn.Tanh(), nn.Linear(2, 1, rng=0))
    assert np.shares_memory(whole[:1].Phi, whole[0].W)
    assert_array_equal(whole[:1].Phi, whole[0].Phi)
    assert_array_equal(whole[1:].Phi, whole[2].Phi)


def test_a_slice_has_the_mode_of_the_model():
    assert not model().eval()[:1].training


def test_append_takes_the_layer_back_after_any_error():
    class Halves(nn.Layer):
        def output_shape(self, *shapes):
            return shapes[0][-1] // 2

    whole = nn.Sequential(nn.Flatten())
    with pytest.raises(TypeError):
        whole.append(Halves())
    assert len(whole) == 1


def test_outputs_that_lead_to_an_input_without_gradient_need_a_graph():
    with pytest.raises(ValueError, match=r"Sequential\[1\] MSELoss.* has no gradient for some of its 2 inputs"):
        nn.Sequential(nn.Split([3, 3]), nn.MSELoss())


@pytest.mark.parametrize("gate", [nn.Dot, nn.Outer, nn.MatMul], ids=lambda gate: gate.__name__)
def test_the_first_layer_may_have_two_inputs(gate):
    """Its shapes are asked when the Sequential is built, for as many inputs as its forward needs."""
    X, Y = np.arange(6.0).reshape(2, 3), np.ones((3, 2)) if gate is nn.MatMul else np.ones((2, 3))
    model = nn.Sequential(nn.Sequential(gate()), nn.Tanh())
    np.testing.assert_array_equal(model.forward(X, Y), np.tanh(gate().forward(X, Y)))
    assert [dX.shape for dX in model.backward(np.ones(model.forward(X, Y).shape))] == [X.shape, Y.shape]
