"""Each option of a layer goes out to ONNX and comes in again, or is refused with the reason."""

from itertools import product

import numpy as np
import pytest
from support.case import case
from support.onnx_runs import outputs

import nnlite as nn
from nnlite.basics.trees import listed
from nnlite.interop.onnx.writing_onnx import content_of

IMAGE, STEPS = (4, 9, 8), (5, 4)
OPTIONS = [
    (lambda **o: nn.Conv2d(4, 6, 3, rng=0, **o), IMAGE, {"padding_mode": ["zeros", "reflect", "replicate"], "padding": [1, "same"], "dilation": [1, 2], "groups": [1, 2]}),  # noqa: E501
    (lambda **o: nn.Conv2d(4, 6, 3, stride=2, rng=0, **o), IMAGE, {"padding": [0, 2], "bias": [True, False]}),
    (lambda **o: nn.ConvTranspose2d(4, 6, 3, stride=2, rng=0, **o), IMAGE, {"padding": [0, 1], "output_padding": [0, 1], "groups": [1, 2], "dilation": [1, 2]}),  # noqa: E501
    (lambda **o: nn.MaxPool2d(3, **o), IMAGE, {"stride": [None, 1, 2], "padding": [0, 1], "ceil_mode": [False, True], "dilation": [1, 2]}),  # noqa: E501
    (lambda **o: nn.MaxPool3d(3, padding=1, dilation=2, ceil_mode=True, **o), (2, 9, 8, 7), {}),
    (lambda **o: nn.AvgPool2d(3, **o), IMAGE, {"stride": [None, 2], "padding": [0, 1], "ceil_mode": [False, True], "count_include_pad": [False, True], "divisor_override": [None, 5]}),  # noqa: E501
    (lambda **o: nn.LPPool2d(2, 3, **o), IMAGE, {"stride": [None, 1], "ceil_mode": [False, True]}),
    (lambda **o: nn.Upsample(**o), IMAGE, {"scale_factor": [2, 1.5], "mode": ["nearest", "nearest-exact"]}),
    (lambda **o: nn.Upsample(**o), IMAGE, {"scale_factor": [2, 1.5], "mode": ["bilinear", "bicubic"], "align_corners": [False, True]}),  # noqa: E501
    (lambda **o: nn.Upsample(**o), IMAGE, {"size": [5, 11], "mode": ["bilinear", "bicubic"], "align_corners": [False, True]}),  # noqa: E501
    (lambda **o: nn.InstanceNorm2d(4, **o), IMAGE, {"affine": [False, True], "track_running_stats": [False, True]}),
    (lambda **o: nn.BatchNorm2d(4, **o), IMAGE, {"affine": [False, True], "track_running_stats": [False, True]}),
    *[
        (lambda make=make, **o: make(4, 3, rng=0, **o), STEPS, {"num_layers": [1, 2], "bidirectional": [False, True], "last": [False, True], "return_state": [False, True]})  # noqa: E501
        for make in (nn.RNN, nn.LSTM, nn.GRU)
    ],
    (lambda **o: nn.LSTM(4, 3, rng=0, reverse=True, **o), STEPS, {"last": [False, True], "bias": [False, True]}),
    *[(make, STEPS, {"dim": [1, -1, (1, 2)], "keepdim": [False, True]}) for make in (nn.Sum, nn.Mean, nn.Max, nn.Min)],
    (nn.Softplus, STEPS, {"beta": [1.0, 2.0], "threshold": [20.0, 0.5]}),
    (nn.GLU, STEPS, {"dim": [2, -1]}),
    (lambda **o: nn.LayerNorm((5, 4), **o), STEPS, {"elementwise_affine": [False, True], "bias": [False, True]}),
    (lambda **o: nn.Slice(1, **o), STEPS, {"start": [1, -3, None], "stop": [4, -1, None], "step": [1, 2]}),
    (lambda **o: nn.MultiheadAttention(4, 2, rng=0, **o), STEPS, {"causal": [False, True], "bias": [False, True]}),
    (lambda **o: nn.TransformerEncoderLayer(4, 2, 6, rng=0, **o), STEPS, {"norm_first": [False, True], "activation": ["relu", "gelu"]}),  # noqa: E501
]  # fmt: skip


def variants(number):
    make, shape, options = OPTIONS[number]
    for values in product(*options.values()):
        yield make(**dict(zip(options, values, strict=True))), shape


@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_each_option_goes_out_and_comes_in(number):
    rng = np.random.default_rng(0)
    for model, shape in variants(number):
        with case(repr(model)):
            model.eval().Phi = rng.normal(size=model.Phi.size) / 2
            X = rng.normal(size=(3, *shape)).astype(np.float32)
            content = content_of(model, list(shape), 18)
            again = nn.from_onnx(content).eval()
            assert again.Phi.size == model.Phi.size
            for expected, ours, theirs in zip(
                listed(model.forward(X)), listed(again.forward(X)), outputs(content, X), strict=True
            ):
                np.testing.assert_allclose(theirs, expected, rtol=1e-4, atol=1e-5)
                np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "opset", "reason"),
    [
        (nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), 18, "in opsets from 19 on; pass opset=19"),
        (nn.ConvTranspose2d(4, 6, 3, dilation=2, output_padding=1), 18, "with output_padding of at least the stride"),
        (nn.MaxPool2d(2, return_indices=True), 18, "with return_indices"),
        (nn.LocalResponseNorm(2), 18, "in ONNX the size is odd"),
    ],
)
def test_an_option_that_is_refused(model, opset, reason):
    with pytest.raises(ValueError, match=reason):
        content_of(model, list(IMAGE), opset)


def test_circular_padding_in_newer_opsets():
    model = nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular", rng=0)
    X = np.random.default_rng(0).normal(size=(3, *IMAGE)).astype(np.float32)
    content = content_of(model, list(IMAGE), 19)
    np.testing.assert_allclose(nn.from_onnx(content).forward(X), model.forward(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs(content, X)[0], model.forward(X), rtol=1e-4, atol=1e-5)
