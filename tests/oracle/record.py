"""Write values.npz, PyTorch's answers to all cases: ``cd tests && python -m oracle.record``."""

from pathlib import Path

import numpy as np

from oracle.cases import CASES, draw, seed

RECORD = Path(__file__).with_name("values.npz")


def torch_answers(name, dtype):
    """What PyTorch gives for a case, as one flat array: the outputs first, then the gradients."""
    import torch

    def tensor(values):
        return torch.tensor(np.asarray(values, dtype), requires_grad=True)

    def build(kind, *args, **options):
        if kind == "Sequential":
            return torch.nn.Sequential(*(build(*spec) for spec in args))
        options = {
            key: torch.tensor(value.astype(dtype)) if "weight" in key else value for key, value in options.items()
        }
        return getattr(torch.nn, kind)(*args, **options)

    case, rng = CASES[name], seed(name)
    if case.kind == "SGD":
        Phi = tensor(case.X[0])
        optimizer = torch.optim.SGD([Phi], lr=0.1, **case.options)
        path = []
        for gradient in case.X[1:]:
            Phi.grad = torch.tensor(gradient.astype(dtype))
            optimizer.step()
            path.append(Phi.detach().clone())
        return flat(path)

    module = build(case.kind, *case.args, **case.options).to(torch.from_numpy(np.empty(0, dtype)).dtype)
    for P in module.parameters():
        P.data = torch.tensor(draw(rng, P.T.shape if P.ndim == 2 else P.shape).T.astype(dtype))  # torch stores W^T
    X = tensor(case.X)
    if case.target is None:
        Y = module(X)
    else:
        target = torch.tensor(case.target)
        Y = module(X, target.to(X.dtype) if target.is_floating_point() else target)
    Y.backward(torch.tensor(draw(rng, tuple(Y.shape)).astype(dtype)))
    return flat([Y.detach(), X.grad, *(P.grad.T if P.ndim == 2 else P.grad for P in module.parameters())])


def flat(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def recorded():
    with np.load(RECORD) as record:
        pieces = np.split(record["values"], np.cumsum(record["sizes"])[:-1])
        return dict(zip(record["names"].tolist(), pieces, strict=True))


if __name__ == "__main__":
    answers = [torch_answers(name, np.float64) for name in CASES]
    np.savez_compressed(
        RECORD, names=list(CASES), sizes=[len(answer) for answer in answers], values=np.concatenate(answers)
    )
