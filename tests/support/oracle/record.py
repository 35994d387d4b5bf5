"""PyTorch's answers to the cases, and their record in the folder ``values``, a file for each kind.

Write those of some kinds, or of all: ``cd tests && python -m support.oracle.record Tanh Linear``.
"""

import functools
import sys
import warnings
from pathlib import Path

import numpy as np
from support.oracle import cases_transformer
from support.oracle.cases import CASES, FORMULAS
from support.oracle.table import draw, seed

from nnlite.basics.trees import listed

RECORD = Path(__file__).with_name("values")


def torch_gate(kind, *args, **options):
    """PyTorch's function for a gate; None for other layers."""
    import torch

    elementwise = {"Subtract": "sub", "Multiply": "mul", "Divide": "div", "Power": "pow", "Negative": "neg"}
    same = "Maximum", "Minimum", "Exp", "Log", "Square", "Sqrt", "Reciprocal", "Abs", "Sign"
    elementwise |= {kind: kind.lower() for kind in same}
    if kind in elementwise:
        return getattr(torch, elementwise[kind])
    return {
        "Add": lambda *Xs: functools.reduce(torch.add, Xs),
        "Where": torch.where,
        "Dot": torch.linalg.vecdot,
        "Outer": lambda X, Y: torch.einsum("...i,...j->...ij", X, Y),
        "MatMul": torch.matmul,
        "Sum": lambda X: torch.sum(X, **options),
        "Mean": lambda X: torch.mean(X, **options),
        "Max": lambda X: torch.amax(X, **{"dim": ()} | options),
        "Min": lambda X: torch.amin(X, **{"dim": ()} | options),
        "Select": lambda X: torch.select(X, *args),
        "Slice": lambda X: X.movedim(args[0], 0)[slice(*args[1:])].movedim(0, args[0]),
        "Concat": lambda *Xs: torch.cat(Xs, **{"dim": -1} | options),
        "Stack": lambda *Xs: torch.stack(Xs, **options),
        "Split": lambda X: torch.split(X, list(args[0]), **{"dim": -1} | options),
        "Transpose": lambda X: torch.transpose(X, *args),
        "Reshape": lambda X: torch.reshape(X, args),
        "ScaledDotProductAttention": lambda Q, K, V, mask=None: torch.nn.functional.scaled_dot_product_attention(
            Q, K, V, mask, is_causal=options.get("causal", False), scale=options.get("scale")
        ),
        "PositionalEncoding": lambda X: torch_positions(X, kind, *args, **options),
        "RotaryEmbedding": lambda X: torch_positions(X, kind, *args, **options),
    }.get(kind)


RECURRENT = "RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"


def torch_recurrent(module):
    """PyTorch's recurrent module with our inputs, (X, lengths, H0, C0), and with states whose rows are samples."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    def ours(state):
        return state.squeeze(0) if len(state) == 1 else state.swapaxes(0, 1)

    def theirs(state):
        return state[None] if state.ndim == 2 else state.swapaxes(0, 1)

    def run(X, lengths=None, *states):
        states = [theirs(state) for state in states]
        given = [] if not states else [states[0] if len(states) == 1 else tuple(states)]
        if lengths is None:
            Y, finals = module(X, *given)
        else:
            packed, finals = module(pack_padded_sequence(X, lengths, True, enforce_sorted=False), *given)
            Y, _ = pad_packed_sequence(packed, True, total_length=X.shape[1])
        return Y, *map(ours, finals if isinstance(finals, tuple) else (finals,))

    def cell(X, *states):
        return module(X, *[states[0] if len(states) == 1 else states] * bool(states))

    return run if isinstance(module, torch.nn.RNNBase) else cell


def torch_attention(call, causal=False, need_weights=False, average_attn_weights=True, **options):
    """A call of PyTorch's MultiheadAttention with our inputs and options."""
    import torch

    def run(Q, K=None, V=None, key_padding_mask=None, attn_mask=None):
        K = Q if K is None else K
        V = K if V is None else V
        if causal:
            attn_mask = torch.ones(Q.shape[1], K.shape[1], dtype=torch.bool).triu(1)
        options = {"need_weights": need_weights, "average_attn_weights": average_attn_weights}
        Y, weights = call(Q, K, V, key_padding_mask=key_padding_mask, attn_mask=attn_mask, **options)
        return (Y, weights) if need_weights else Y

    return run


def with_our_parameters(module, parameters):
    """A call of PyTorch's MultiheadAttention with our parameters in place of its own."""
    import torch

    W_q, W_k, W_v, *more = parameters
    *b, W_o, b_o = [*more, None] if len(more) == 1 else more
    theirs = {"out_proj.weight": W_o.T}
    if module.in_proj_weight is None:
        theirs |= {"q_proj_weight": W_q.T, "k_proj_weight": W_k.T, "v_proj_weight": W_v.T}
    else:
        theirs["in_proj_weight"] = torch.cat([W_q.T, W_k.T, W_v.T])
    if b:
        theirs |= {"in_proj_bias": torch.cat(b), "out_proj.bias": b_o}
    return lambda *inputs, **options: torch.func.functional_call(module, theirs, inputs, options)


def attention_shapes(embed_dim, num_heads, kdim=None, vdim=None, bias=True, **options):
    """The shapes of our parameters of MultiheadAttention, in their order."""
    W = [(features or embed_dim, embed_dim) for features in (None, kdim, vdim)]
    return [*W, *[(embed_dim,)] * 3 * bias, (embed_dim, embed_dim), *[(embed_dim,)] * bias]


def torch_positions(X, kind, base=10_000.0, offset=0, interleaved=True):
    """The encodings by complex numbers: exp(i angle) as two numbers added, or as a factor of pairs."""
    import torch

    T, D = X.shape[-2:]
    frequencies = base ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    angles = torch.outer(torch.arange(offset, offset + T, dtype=torch.float64), frequencies)
    waves = torch.polar(torch.ones_like(angles), angles)
    if kind == "PositionalEncoding":
        return X + torch.stack([waves.imag, waves.real], dim=-1).flatten(-2).to(X.dtype)
    pairs = X.unflatten(-1, (-1, 2)) if interleaved else X.unflatten(-1, (2, -1)).swapaxes(-1, -2)
    turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * waves.to(X.dtype.to_complex()))
    return (turned if interleaved else turned.swapaxes(-1, -2)).flatten(-2)


def torch_module(dtype, kind, *args, **options):
    """PyTorch's module of a kind that ``torch.nn`` has, or a container."""
    import torch

    class Residual(torch.nn.Sequential):
        def forward(self, X):
            return X + super().forward(X)

    class Parallel(torch.nn.Sequential):
        def forward(self, X):
            return torch.cat([branch(X) for branch in self], dim=-1)

    containers = {"Sequential": torch.nn.Sequential, "Residual": Residual, "Parallel": Parallel}
    if kind in containers:
        return containers[kind](*(torch_module(dtype, *spec) for spec in args))
    if kind in cases_transformer.KINDS:
        dtype = torch.from_numpy(np.empty(0, dtype)).dtype
        if kind == "TransformerEncoder":
            options["more"] = {"enable_nested_tensor": False}
        norm = functools.partial(torch.nn.LayerNorm, dtype=dtype)
        return cases_transformer.transformer(torch.nn, norm, kind, *args, dtype=dtype, batch_first=True, **options)
    if kind in RECURRENT[:3]:
        options = {key: value for key, value in options.items() if key != "return_state"} | {"batch_first": True}
    if kind == "MultiheadAttention":
        options = {key: options[key] for key in ("bias", "kdim", "vdim") if key in options} | {"batch_first": True}
    options = {key: torch.tensor(value.astype(dtype)) if "weight" in key else value for key, value in options.items()}
    return getattr(torch.nn, kind)(*args, **options).to(torch.from_numpy(np.empty(0, dtype)).dtype)


def torch_answers(name, dtype):
    """PyTorch's answer to a case as one flat array: the outputs, the gradients, the buffers."""
    import torch

    def tensor(values):
        if values is None or np.asarray(values).dtype.kind in "ib":  # an argument that is left out; indices, masks
            return None if values is None else torch.tensor(values)
        return torch.tensor(np.asarray(values, dtype), requires_grad=True)

    case, rng = CASES[name], seed(name)
    if case.kind == "WeightAverage":
        return torch_averages(case, dtype)
    if hasattr(torch.optim, case.kind):
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.from_numpy(np.empty(0, dtype)).dtype)  # that of NAdam's product
        parameters = [tensor(case.X[0][:4].reshape(2, 2)), tensor(case.X[0][4:])]  # W and b
        optimizer = getattr(torch.optim, case.kind)(parameters, lr=0.1, **case.options)
        path = []
        for gradient in case.X[1:].astype(dtype):
            for P, dP in zip(parameters, (gradient[:4], gradient[4:]), strict=True):
                P.grad = torch.tensor(dP.reshape(P.shape))
            optimizer.step()
            path += [P.detach().clone() for P in parameters]
        torch.set_default_dtype(before)
        return flat(path)

    buffers = []
    gate = torch_gate(case.kind, *case.args, **case.options)
    if case.kind == "Graph":
        formula, *shapes = case.args
        parameters = [tensor(draw(rng, shape)) for shape in shapes]
        module = lambda *Xs: FORMULAS[formula](*Xs, *parameters)  # noqa: E731
    elif gate is not None:
        module, parameters = gate, []
    elif case.kind == "MultiheadAttention":
        parameters = [tensor(draw(rng, shape)) for shape in attention_shapes(*case.args, **case.options)]
        module = torch_module(dtype, case.kind, *case.args, **case.options)
        module = torch_attention(with_our_parameters(module, parameters), **case.options)
    else:
        module = torch_module(dtype, case.kind, *case.args, **case.options)
        parameters = list(module.parameters())
        if case.kind in cases_transformer.KINDS:  # by their names: their order is another one
            named = dict(sorted(module.named_parameters()))
            for key, P in named.items():
                P.data = torch.tensor(cases_transformer.values_of(name, key, tuple(P.shape)).astype(dtype))
            parameters = list(named.values())
        for P in parameters if case.kind not in cases_transformer.KINDS else ():
            transposed = P.ndim == 2 and not case.kind.startswith("Embedding")  # torch stores W^T
            values = draw(rng, P.T.shape).T if transposed else draw(rng, P.shape)
            P.data = torch.tensor(values.astype(dtype))
        buffers = [] if case.target is not None else list(module.buffers())  # a loss has its weights there
        if case.kind in RECURRENT:
            module = torch_recurrent(module)
    Xs = [tensor(X) for X in listed(case.X)]
    for mask in Xs[3:] if case.kind in ("MultiheadAttention", "ScaledDotProductAttention") else ():
        if mask is not None:
            mask.requires_grad_(False)
    if case.evaluation:
        module(*Xs)
        module.eval()
    # PyTorch's gradient of CTCLoss includes that of the LogSoftmax before it.
    before = torch.nn.LogSoftmax(dim=-1) if case.kind == "CTCLoss" else torch.nn.Identity()
    if case.target is None:
        Ys = module(*Xs)
    else:
        targets = [torch.tensor(target) for target in listed(case.target)]
        targets = [each.to(Xs[0].dtype) if each.is_floating_point() else each for each in targets]
        with warnings.catch_warnings():  # KLDivLoss: its "mean" is another one in the next release
            warnings.filterwarnings("ignore", "reduction: 'mean'", UserWarning)
            first = 1 if case.kind == "GaussianNLLLoss" else len(Xs)  # its variance comes after the target
            Ys = module(*map(before, Xs[:first]), *targets, *Xs[first:])
    Ys = Ys if isinstance(Ys, tuple) else (Ys,)
    torch.autograd.backward(Ys, [torch.tensor(draw(rng, tuple(Y.shape)).astype(dtype)) for Y in Ys])
    by_name = {"Graph", "MultiheadAttention", *cases_transformer.KINDS}
    turned = case.kind not in by_name and not case.kind.startswith("Embedding")
    gradients = [P.grad.T if turned and P.ndim == 2 else P.grad for P in parameters]
    dXs = [X.grad for X in Xs if X is not None and X.requires_grad]
    return flat([*(Y.detach() for Y in Ys), *dXs, *gradients, *buffers])


def torch_averages(case, dtype):
    """PyTorch's averaged parameters and floating buffers after each update."""
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    decay = case.options["decay"]
    module = torch.nn.BatchNorm1d(2).to(torch.from_numpy(np.empty(0, dtype)).dtype)
    multi_avg_fn = None if decay is None else get_ema_multi_avg_fn(decay)
    average = AveragedModel(module, multi_avg_fn=multi_avg_fn, use_buffers=case.options["use_buffers"])
    path = []
    for numbers in case.X:
        for array, part in zip(module.state_dict().values(), np.split(numbers, 4), strict=False):
            array.copy_(torch.tensor(part.astype(dtype)))
        average.update_parameters(module)
        path += [array.clone() for name, array in average.module.state_dict().items() if array.ndim]
    return flat(path)


def flat(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def recorded():
    """The recorded answers of all kinds, by the name of the case."""
    answers = {}
    for file in sorted(RECORD.glob("*.npz")):
        with np.load(file) as record:
            pieces = np.split(record["values"], np.cumsum(record["sizes"])[:-1])
            answers |= zip(record["names"].tolist(), pieces, strict=True)
    return answers


def write(kind):
    """Record PyTorch's answers to the cases of a kind."""
    names = [name for name, case in CASES.items() if case.kind == kind]
    answers = [torch_answers(name, np.float64) for name in names]
    sizes = [len(answer) for answer in answers]
    np.savez_compressed(RECORD / f"{kind}.npz", names=names, sizes=sizes, values=np.concatenate(answers))


if __name__ == "__main__":
    for kind in sys.argv[1:] or dict.fromkeys(case.kind for case in CASES.values()):
        write(kind)
