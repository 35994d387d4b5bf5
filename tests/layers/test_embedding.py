"""Embedding and EmbeddingBag: worked numbers, accuracy in float32, bad arguments, every tool on a model of words."""

import math
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.case import case

import nnlite as nn
from nnlite.diagnostics.profile import flops_of

RNG = np.random.default_rng(0)
W = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
WORDS = RNG.integers(1, 7, (24, 3))
WORDS[::3, 2] = 0  # padding
LABELS = (np.sum(WORDS > 3, axis=1) > 1).astype(np.int64)


def embedding(**options):
    return nn.Embedding.from_pretrained(W, **options)


def bag(mode, **options):
    return nn.EmbeddingBag.from_pretrained(W, mode=mode, **options)


def classifier(layer=None):
    layer = layer or nn.Embedding(7, 4, padding_idx=0, rng=0)
    rest = (nn.Flatten(), nn.Linear(12, 2, rng=1)) if isinstance(layer, nn.Embedding) else (nn.Linear(16, 2, rng=1),)
    return nn.Sequential(layer, *rest)


# ------------------------------------------------------------------------------------------------ worked numbers


def test_rows_are_looked_up_and_gradients_of_repeated_indices_add_up():
    layer = embedding()
    assert_array_equal(layer.forward([[2, 0], [2, 2]]), [[W[2], W[0]], [W[2], W[2]]])
    assert layer.backward(np.array([[[1.0, 0.0], [2.0, 0.5]], [[4.0, 0.0], [8.0, 1.0]]])) is None
    assert_array_equal(layer.dW, [[2, 0.5], [0, 0], [13, 1]])


def test_the_row_of_padding_begins_at_0_is_looked_up_and_is_not_trained():
    assert not nn.Embedding(5, 3, padding_idx=-2, rng=0).W[3].any()
    assert nn.Embedding(5, 3, padding_idx=-2, rng=0).padding_idx == 3
    assert_array_equal(nn.Embedding(5, 3, padding_idx=1, rng=0).W[2:], nn.Embedding(5, 3, rng=0).W[2:])
    assert nn.Embedding(5, 3, padding_idx=-5, rng=0).padding_idx == 0
    layer = embedding(padding_idx=-1)
    assert_array_equal(layer.forward([2, 1]), W[[2, 1]])  # from_pretrained does not clear it
    layer.backward(np.ones((2, 2)))
    assert_array_equal(layer.dW, [[0, 0], [1, 1], [0, 0]])
    assert nn.check_gradients(layer, np.array([2, 1])).comparisons[0].checked == 4  # not the entries of row 2
    assert nn.check_gradients(layer, np.array([2, 1]), max_entries=3).comparisons[0].checked == 3


def test_initial_weights_are_standard_normal():
    numbers = nn.Embedding(1000, 50, rng=0).W
    assert numbers.dtype == np.float32
    assert_allclose([numbers.mean(), numbers.std()], [0, 1], atol=0.02)
    assert_array_equal(numbers, nn.EmbeddingBag(1000, 50, rng=0).W)
    assert_array_equal(nn.Embedding(2, 2, weight_init=nn.initializers.constant(value=3.0)).W, [[3, 3], [3, 3]])


def test_scale_grad_by_freq_averages():
    dY = np.array([[1.0, 0.0], [2.0, 4.0], [3.0, 8.0]])
    layer = embedding(scale_grad_by_freq=True)
    layer.forward([2, 0, 2])
    layer.backward(dY)
    assert_array_equal(layer.dW, [[2, 4], [0, 0], [2, 4]])
    for mode, share in ("sum", 1), ("mean", 1 / 2):
        layer = bag(mode, scale_grad_by_freq=True)
        layer.forward([[2, 0], [2, 1]])
        layer.backward(dY[:2])
        assert_array_equal(layer.dW, share * np.array([[1, 0], [2, 4], [1.5, 2]]))


@pytest.mark.parametrize(("p", "norm"), [(2.0, 5.0), (1.0, 7.0), (math.inf, 4.0)])
def test_max_norm_changes_rows_in_training_and_only_what_is_returned_in_evaluation(p, norm):
    scaled = W[1] / norm * 0.5
    for make in embedding, lambda **options: bag("sum", **options), lambda **options: bag("max", **options):
        layer = make(max_norm=0.5, norm_type=p)
        indices = np.array([1, 1]) if isinstance(layer, nn.Embedding) else np.array([[1], [1]])
        assert_allclose(layer.eval().forward(indices), [scaled, scaled], rtol=1e-6)
        assert_array_equal(layer.W, W)
        assert_allclose(layer.train().forward(indices), [scaled, scaled], rtol=1e-6)
        assert_allclose(layer.W, [W[0], scaled, W[2]], rtol=1e-6)
        layer.backward(np.ones((2, 2)))
        assert_array_equal(layer.dW, [[0, 0], [2, 2], [0, 0]])


def test_bags_by_hand():
    words, starts = [0, 2, 2, 1], [0, 3, 3]  # the second bag is empty
    dY = np.array([[6.0, 12.0], [99.0, 99.0], [1.0, 2.0]])
    for mode, Y, dW in [
        ("sum", [W[0] + 2 * W[2], [0, 0], W[1]], [dY[0], dY[2], 2 * dY[0]]),
        ("mean", [(W[0] + 2 * W[2]) / 3, [0, 0], W[1]], [dY[0] / 3, dY[2], 2 * dY[0] / 3]),
        ("max", [W[2], [0, 0], W[1]], [[0, 0], dY[2], dY[0]]),
    ]:
        layer = bag(mode)
        with case(mode):
            assert_allclose(layer.forward(words, starts), Y, rtol=1e-15)
            assert layer.backward(dY) is None
            assert_allclose(layer.dW, dW, rtol=1e-15)
            assert_array_equal(
                bag(mode, include_last_offset=True).forward(words, [*starts, 4]), layer.forward(words, starts)
            )
            assert_array_equal(layer.forward(np.zeros((2, 0), int)), np.zeros((2, 2)))
            assert_array_equal(layer.forward(np.zeros(0, int), [0, 0]), np.zeros((2, 2)))
            layer.backward(np.ones((2, 2)))
            assert not layer.dW.any()


def test_weights_have_a_gradient():
    layer = bag("sum", padding_idx=0)
    weights = np.array([[2.0, 3.0], [4.0, -1.0]])
    assert_array_equal(layer.forward([[1, 0], [2, 1]], None, weights), [2 * W[1], 4 * W[2] - W[1]])
    dY = np.array([[1.0, 10.0], [2.0, 20.0]])
    assert_array_equal(layer.backward(dY), [[43, 0], [150, 86]])  # dy^T W[i], and 0 for padding
    assert_array_equal(layer.dW, [[0, 0], 2 * dY[0] - dY[1], 4 * dY[1]])
    layer.needs_dX = False
    assert layer.backward(dY) is None


def test_the_first_of_equal_maxima_gets_the_gradient():
    layer = nn.EmbeddingBag.from_pretrained([[1.0], [3.0], [3.0]], mode="max")
    layer.forward([[0, 2, 1]])
    layer.backward(np.array([[1.0]]))
    assert layer.dW.ravel().tolist() == [0, 0, 1]


def test_the_maximum_of_one_long_and_many_short_bags():
    words = RNG.integers(0, 50, 120)
    starts = np.array([0, 100, *range(100, 120)])
    layer = nn.EmbeddingBag(50, 4, mode="max", rng=0, dtype=np.float64)
    Y = layer.forward(words, starts)
    ends = [*starts[1:], 120]
    expected = [layer.W[words[a:b]].max(axis=0) if b > a else np.zeros(4) for a, b in zip(starts, ends, strict=True)]
    assert_array_equal(Y, expected)
    assert nn.check_gradients(layer, (words, starts)).right


# ------------------------------------------------------------------------------------------------ accuracy, limits


def test_a_million_repetitions_are_added_up_right_in_float32():
    N = 1_000_000
    layer = nn.Embedding(3, 1, rng=0)
    layer.forward(np.ones(N, np.int64))
    layer.backward(np.full((N, 1), 0.1, np.float32))
    assert_allclose(layer.dW[1], 1e5, rtol=1e-5)
    assert layer.dW[0] == layer.dW[2] == 0
    layer = nn.EmbeddingBag(3, 1, mode="sum", rng=0)
    layer.W = [[0], [0.1], [0]]
    assert_allclose(layer.forward(np.ones((1, N), np.int64)), [[1e5]], rtol=1e-5)
    layer.backward(np.full((1, 1), 0.1, np.float32))
    assert_allclose(layer.dW[1], 1e5, rtol=1e-5)
    weights = np.full((1, N), 0.1, np.float32)
    assert_allclose(layer.forward(np.ones((1, N), np.int64), None, weights), [[1e4]], rtol=1e-5)
    layer.backward(np.full((1, 1), 0.1, np.float32))
    assert_allclose(layer.dW[1], 1e4, rtol=1e-5)


def test_long_and_short_segments_are_those_of_float64():
    words = np.minimum(RNG.geometric(0.05, 3000) - 1, 99)  # some of them often
    starts = np.array([0, 1, 1, 1500, 1700])
    weights, dY = RNG.normal(size=3000), RNG.normal(size=(5, 4))
    exact, layer = (nn.EmbeddingBag(100, 4, mode="sum", rng=0, dtype=dtype) for dtype in (np.float64, np.float32))
    assert_allclose(layer.forward(words, starts, weights), exact.forward(words, starts, weights), rtol=1e-5, atol=1e-5)
    assert_allclose(layer.backward(dY), exact.backward(dY), rtol=1e-5, atol=1e-5)
    assert_allclose(layer.dW, exact.dW, rtol=1e-5, atol=1e-5)
    expected = np.zeros((100, 4))
    np.add.at(expected, words, weights[:, None] * np.repeat(dY, np.diff([*starts, 3000]), axis=0))
    assert_allclose(exact.dW, expected, rtol=1e-12, atol=1e-13)


def test_a_large_table():
    V, D = 20_000, 64  # more than a million numbers
    words, weights = np.array([[7, V - 1, 7], [0, 7, 7]]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    layer = nn.EmbeddingBag(V, D, mode="sum", padding_idx=0, weight_init=nn.initializers.zeros)
    layer.dW = np.full((V, D), 99.0)
    layer.forward(words, None, weights)
    layer.backward(np.stack([np.full(D, 1.0), np.full(D, 10.0)]))
    assert_array_equal(layer.dW[7], np.full(D, 1 + 3 + 50 + 60))
    assert_array_equal(layer.dW[V - 1], np.full(D, 2))
    assert np.count_nonzero(layer.dW) == 2 * D
    layer.forward(np.zeros((2, 0), int))
    layer.backward(np.ones((2, D)))
    assert not layer.dW.any()
    layer = nn.Embedding(V, D, weight_init=nn.initializers.zeros)
    layer.forward(np.full(300, 5))
    layer.backward(np.full((300, D), 0.1))
    assert_allclose(layer.dW[5], 30, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_integers_of_every_size(dtype):
    assert_array_equal(embedding().forward(np.array([2, 0], dtype)), W[[2, 0]])


@pytest.mark.parametrize(
    ("indices", "wrong"),
    [
        ([[0, 1], [2, 3]], "got 3 at index (1, 1)"),
        ([0, -1], "got -1 at index (1,)"),
        (np.array(3), "got 3 at index ()"),
        (np.array([2**64 - 1], np.uint64), f"got {2**64 - 1} at index (0,)"),
    ],
)
def test_an_index_out_of_range_is_an_error_that_names_its_place(indices, wrong):
    with pytest.raises(ValueError, match="expected indices from 0 to 2") as caught:
        embedding().forward(indices)
    assert str(caught.value).startswith("Embedding(3 -> 2, dtype=float64): ")
    assert str(caught.value).endswith(wrong)
    if np.ndim(indices) == 1:
        with pytest.raises(ValueError, match="expected indices from 0 to 2"):
            bag("sum").forward(indices, [0])


BAD = {
    "Embedding: num_embeddings": (ValueError, lambda: nn.Embedding(0, 2)),
    "Embedding: embedding_dim": (TypeError, lambda: nn.Embedding(2, 2.0)),
    "Embedding: padding_idx: expected -3 to 2, got 3": (ValueError, lambda: embedding(padding_idx=3)),
    "Embedding: padding_idx: expected -3 to 2, got -4": (ValueError, lambda: embedding(padding_idx=-4)),
    "Embedding: max_norm": (ValueError, lambda: embedding(max_norm=0)),
    "Embedding: norm_type": (ValueError, lambda: embedding(norm_type=math.nan)),
    "Embedding: scale_grad_by_freq": (TypeError, lambda: embedding(scale_grad_by_freq="yes")),
    "Embedding: weight_init: expected a function": (TypeError, lambda: nn.Embedding(2, 2, weight_init=W)),
    "Embedding: expected weight_init": (nn.ShapeError, lambda: nn.Embedding(2, 2, weight_init=lambda *_, **__: W)),
    "Embedding.from_pretrained": (nn.ShapeError, lambda: nn.Embedding.from_pretrained(W[0])),
    "indices: expected integers, got dtype float64; pass indices.astype(np.int64)": (
        TypeError,
        lambda: embedding().forward([1.0]),
    ),
    "indices: expected integers, got dtype bool": (TypeError, lambda: embedding().forward([True])),
    "EmbeddingBag: mode: expected 'sum' or 'mean' or 'max', got 'min'": (ValueError, lambda: bag("min")),
    "EmbeddingBag: scale_grad_by_freq": (ValueError, lambda: bag("max", scale_grad_by_freq=True)),
    "EmbeddingBag: include_last_offset": (TypeError, lambda: bag("max", include_last_offset=3)),
    "expected indices of shape (B, L), or (N,) with offsets, got (1, 1, 1)": (
        nn.ShapeError,
        lambda: bag("sum").forward([[[1]]]),
    ),
    "expected indices of shape (B, L), or (N,) with offsets, got ()": (nn.ShapeError, lambda: bag("sum").forward(1)),
    "for one bag pass indices[None]": (ValueError, lambda: bag("sum").forward([1])),
    "offsets: expected None": (ValueError, lambda: bag("sum").forward([[1]], [0])),
    "offsets: expected integers": (TypeError, lambda: bag("sum").forward([1], [0.0])),
    "offsets: expected a vector": (nn.ShapeError, lambda: bag("sum").forward([1], 0)),
    "from 0 to at most 2, the number of indices, got [1]": (ValueError, lambda: bag("sum").forward([1, 1], [1])),
    "got [0 3]": (ValueError, lambda: bag("sum").forward([1, 1], [0, 3])),
    "got [0 2 1]": (ValueError, lambda: bag("sum").forward([1, 1], [0, 2, 1])),
    "from 0 to 2, the number of indices, got [0 1]": (
        ValueError,
        lambda: bag("sum", include_last_offset=True).forward([1, 1], [0, 1]),
    ),
    "per_sample_weights: expected None with mode='mean'": (
        ValueError,
        lambda: bag("mean").forward([[1]], None, [[1.0]]),
    ),
    "per_sample_weights: expected the shape of the indices (1, 1), got (1,)": (
        nn.ShapeError,
        lambda: bag("sum").forward([[1]], None, [1.0]),
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_arguments(message):
    error, call = BAD[message]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_shapes_are_known_when_a_model_is_built():
    assert nn.Embedding(7, 4).output_shape((None, 3)) == (None, 3, 4)
    assert nn.EmbeddingBag(7, 4).output_shape((None, 3)) == (None, 4)
    assert nn.EmbeddingBag(7, 4).output_shape((9,), (2,)) == (None, 4)
    with pytest.raises(nn.ShapeError, match=r"Linear\(5 -> 1\)"):
        nn.Sequential(nn.EmbeddingBag(7, 4), nn.Linear(5, 1))
    with pytest.raises(nn.ShapeError, match=r"got \(\?, 3, 2\)"):
        nn.EmbeddingBag(7, 4).output_shape((None, 3, 2))


# ------------------------------------------------------------------------------------------------ training and tools


def make_models():
    yield classifier()
    yield classifier(nn.Embedding(7, 4, max_norm=2.0, rng=0))
    for mode in "sum", "mean", "max":
        yield classifier(nn.EmbeddingBag(7, 16, mode=mode, padding_idx=0, rng=0))


def test_training_leaves_padding_at_0_and_a_resumed_training_is_bit_identical(tmp_path):
    for whole, part in zip(make_models(), make_models(), strict=True):

        def fit(model, epochs, **options):
            optimizer = nn.SGD(model, lr=0.1, momentum=0.9, weight_decay=1e-3)
            options |= {"optimizer": optimizer, "batch_size": 8, "verbose": 0, "epochs": epochs, "rng": 0}
            return nn.fit(model, WORDS, LABELS, loss=nn.CrossEntropyLoss(), **options)

        with case(whole[0]):
            losses = fit(whole, 12)["loss"]
            assert losses[-1] < 0.7 * losses[0]
            assert whole[0].padding_idx is None or not whole[0].W[0].any()
            path = tmp_path / "checkpoint.npz"
            fit(part, 5, callbacks=[nn.Checkpoint(path)])
            fit(part, 7, resume=path)
            assert_array_equal(part.Phi, whole.Phi)
            nn.save(part, path)
            loaded = nn.load(path)
            assert repr(loaded) == repr(part)
            assert_array_equal(nn.predict(loaded, WORDS), nn.predict(whole, WORDS))


def test_a_pretrained_row_of_padding_comes_back_from_a_file(tmp_path):
    layer = nn.EmbeddingBag.from_pretrained(W, padding_idx=1, max_norm=2.0, norm_type=math.inf, mode="max")
    nn.save(layer, tmp_path / "layer.npz")
    loaded = nn.load(tmp_path / "layer.npz")
    assert_array_equal(loaded.W, W)
    assert (
        repr(loaded)
        == repr(layer)
        == ("EmbeddingBag(3 -> 2, padding_idx=1, max_norm=2.0, norm_type=inf, mode='max', dtype=float64)")
    )


def test_sanity_and_the_doctor_are_silent():
    for model in make_models():
        if model[0].max_norm is None:
            with case(model[0]):
                assert nn.check_gradients(model, WORDS, LABELS, nn.CrossEntropyLoss()).right
                if getattr(model[0], "mode", "mean") == "mean":  # a maximum cannot tell [4, 4, 1] from [4, 1, 1]
                    report = nn.sanity(model, nn.CrossEntropyLoss(), WORDS, LABELS, optimizer=nn.SGD(model, lr=0.1))
                    assert report.right, report


def test_check_gradients_names_a_wrong_gradient_beside_padding():
    class Wrong(nn.Embedding):
        def backward(self, dY):
            super().backward(dY)
            self.dW *= 2

    with pytest.raises(nn.GradientError, match="dW"):
        nn.check_gradients(classifier(Wrong(7, 4, padding_idx=0, rng=0)), WORDS, LABELS, nn.CrossEntropyLoss())


def test_gradients_of_samples_and_jacobian():
    for model in make_models():
        with case(model[0]):
            gradients = nn.per_sample_gradients(model, WORDS, LABELS, nn.CrossEntropyLoss())["0.W"]
            loss = nn.CrossEntropyLoss()
            loss.forward(model.forward(WORDS), LABELS)
            model.backward(loss.backward())
            assert_allclose(gradients.sum(axis=0), model[0].dW, atol=1e-6)
            assert nn.jacobian(model, WORDS[:2], "0.W").shape == (2, 2, *model[0].W.shape)
            with pytest.raises(TypeError, match="no gradient"):
                nn.jacobian(model, WORDS[:2], "X")


def test_explain_summary_profile_and_drawing():
    text = str(nn.explain(classifier(), WORDS, LABELS, nn.CrossEntropyLoss()))
    assert re.search(r"u1 = take\(W1, +indices\)", text)
    assert re.search(r"dL/dW1 = add_at\(dL/du1, +indices\)", text)
    assert "but the layer computes" not in text
    for model in make_models():
        with case(model[0]):
            assert nn.summary(model, 3).rows[0].parameters == model[0].W.size
            assert (
                nn.profile(model, WORDS, LABELS, nn.CrossEntropyLoss(), repeats=1).rows[0].forward.operations
                is not None
            )
            assert "Embedding" in nn.to_mermaid(model, WORDS[:2])


def test_operations_are_counted():
    layer = nn.EmbeddingBag(7, 4, mode="sum", padding_idx=0, rng=0)
    Y = layer.forward(WORDS, None, np.ones(WORDS.shape))
    used = 4 * np.count_nonzero(WORDS)
    forward, backward = flops_of(layer, WORDS, Y)
    assert (forward.total, backward.total) == (2 * used, 4 * used)  # w W, +; and dW: w dY, +; dw: *, +
    layer = nn.EmbeddingBag(7, 4, rng=0)
    assert [each.total for each in flops_of(layer, WORDS, layer.forward(WORDS))] == [72 * 4 + 24 * 4] * 2
    layer = nn.Embedding(7, 4, rng=0)
    assert [each.total for each in flops_of(layer, WORDS, layer.forward(WORDS))] == [0, 72 * 4]


def test_weights_in_a_graph_are_passed_by_name():
    words, weights = nn.Input("words"), nn.Input("weights")
    layer = nn.EmbeddingBag(7, 4, mode="sum", rng=0)
    linear = nn.Linear(4, 2, rng=1)
    model = nn.Graph([words, weights], linear(layer(words, per_sample_weights=weights)))
    X = {"words": WORDS, "weights": RNG.random(WORDS.shape)}
    Y = model.forward(**X)
    assert_allclose(Y, linear.forward(layer.forward(WORDS, None, X["weights"])), rtol=1e-6)
    assert nn.check_gradients(model, X, LABELS, nn.CrossEntropyLoss()).right
    options = {"loss": nn.CrossEntropyLoss(), "optimizer": nn.SGD(model, lr=0.1), "epochs": 2, "verbose": 0, "rng": 0}
    losses = nn.fit(model, X, LABELS, **options)["loss"]
    assert losses[1] < losses[0]
    drawn = nn.to_mermaid(model)
    assert 'n1 -->|"per#95;sample#95;weights"| n2' in drawn
    assert "None" not in drawn  # the offsets, which are left out
    text = str(nn.explain(model, X, LABELS, nn.CrossEntropyLoss()))
    assert re.search(r"B1 = bags\(words\)", text)
    assert "but the layer computes" not in text
    with pytest.raises(TypeError, match="indices"):
        layer(per_sample_weights=weights)
