"""What nnlite takes for an array."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from nnlite.basics.arrays import FLOATING, as_array, as_floating, floating_dtype


def test_as_array_does_not_copy():
    X = np.ones((2, 3))
    assert as_array(X, "X") is X
    assert as_array(X.T, "X").base is X


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", "f8", "g", ">f8", ">i4"])
def test_as_array_takes_all_real_numbers_as_they_are(dtype):
    X = np.array([0, 1], dtype)
    assert as_array(X, "X").dtype == dtype
    assert as_array(1, "X").shape == ()
    assert_array_equal(as_array([[1], [2]], "X"), [[1], [2]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "X: expected real numbers, got NoneType of dtype object"),
        ("abc", "X: expected real numbers, got str of dtype <U3"),
        (b"abc", r"X: expected real numbers, got bytes of dtype \|S3"),
        (1j, "X: expected real numbers, got complex of dtype complex128"),
        ([1, None], "X: expected real numbers, got list of dtype object"),
        (np.array(["2026-01-01"], "M8[D]"), r"X: expected real numbers, got ndarray of dtype datetime64\[D\]"),
        (np.array([1], "m8[s]"), r"X: expected real numbers, got ndarray of dtype timedelta64\[s\]"),
        (np.array([(1, 2.0)], "i4,f4"), "X: expected real numbers, got ndarray of dtype"),
        (np.eye(2).view(np.matrix), r"X: expected an ndarray, got np.matrix; pass np.asarray\(X\)"),
        (np.ma.masked_array([1.0]), r"X: expected an ndarray, got a masked array; fill it first: X.filled\(...\)"),
    ],
    ids=["None", "str", "bytes", "complex", "objects", "date", "span", "record", "matrix", "masked"],
)
def test_what_is_not_real_numbers_is_a_type_error(values, message):
    for convert in (as_array, as_floating):
        with pytest.raises(TypeError, match=f"^{message}"):
            convert(values, "X")


def test_rows_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match=r"^X: cannot be converted to an array"):
        as_array([[1, 2], [3]], "X")


class Tensor:
    """What PyTorch does with a tensor that has a gradient, or is in bfloat16."""

    def __init__(self, error):
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error

    def detach(self):
        raise NotImplementedError


@pytest.mark.parametrize("kind", [TypeError, RuntimeError])
def test_tensors_that_are_no_arrays_are_a_type_error(kind):
    with pytest.raises(TypeError, match=r"^X: cannot be .*: why; pass X.detach\(\).float\(\).cpu\(\)") as error:
        as_array(Tensor(kind("why")), "X")
    assert type(error.value.__cause__) is kind


def test_tensors_of_pytorch():
    torch = pytest.importorskip("torch")
    for tensor in torch.ones(2, requires_grad=True), torch.ones(2).bfloat16():
        with pytest.raises(TypeError, match=r"^X: .*pass X.detach\(\).float\(\).cpu\(\).numpy\(\)"):
            as_array(tensor, "X")
        assert_array_equal(as_array(tensor.detach().float().cpu().numpy(), "X"), [1, 1])


@pytest.mark.parametrize(
    ("given", "result"),
    [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), (">f4", "f4"), (">f8", "f8"), ("i8", "f4"), ("u1", "f4"), ("?", "f4")],
)
def test_as_floating_keeps_floats_and_makes_the_rest_float32(given, result):
    floats = as_floating(np.array([0, 1], given), "X")
    assert floats.dtype == result
    assert floats.dtype.isnative
    assert_array_equal(floats, [0, 1])


@pytest.mark.parametrize("given", ["f4", "f8", ">f4", "i8", "?"])
def test_as_floating_takes_a_dtype(given):
    for dtype in (np.float32, np.float64):
        assert as_floating(np.array([0, 1], given), "X", dtype).dtype == dtype


def test_as_floating_does_not_copy_what_fits():
    X = np.ones(2, np.float32)
    assert as_floating(X, "X") is X
    assert as_floating(X, "X", np.float32) is X


@pytest.mark.parametrize("dtype", ["f4", "f8", "g", np.float32, float, np.dtype("f8")])
def test_floating_dtype(dtype):
    assert floating_dtype(dtype) == np.dtype(dtype)
    assert floating_dtype(dtype) in FLOATING


@pytest.mark.parametrize("dtype", ["f2", int, bool, complex, object, "U1", ">f8", "M8[D]"])
def test_floating_dtype_takes_no_other(dtype):
    with pytest.raises(TypeError, match=r"^dtype: expected a floating type such as np.float32 or np.float64, got "):
        floating_dtype(dtype)
