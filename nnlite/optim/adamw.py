"""AdamW: Adam with decoupled weight decay."""

from collections.abc import Mapping

from nnlite.layer.layer import Layer
from nnlite.optim.adam import Adam
from nnlite.optim.optimizer import Schedule


class AdamW(Adam):
    """Adam with decoupled weight decay, as ``torch.optim.AdamW`` computes it.

    With g = dPhi (-dPhi to maximize), betas = (b1, b2) and m = v = 0 before the first step, step t = 1, 2, ... computes

        Phi <- (1 - lr weight_decay) Phi
        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        Phi <- Phi - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)

    With amsgrad, the largest v until now replaces v in the last line.

    Args:
        layer: the model, or a part of it.
        lr: learning rate, a number >= 0, or a schedule; see :class:`nnlite.Optimizer`.
        betas: factors of the two averages, from 0 to below 1.
        eps: added to the denominator, >= 0.
        weight_decay: factor of the decay; or a dict of factors by names of parameters, such as ``{"W": 1e-2}``.
        amsgrad: use the AMSGrad variant.
        maximize: maximize the loss.
        lr_factor: factors of the learning rate by names of parameters; see :class:`nnlite.Optimizer`.

    PyTorch's ``foreach``, ``fused``, ``capturable`` and ``differentiable`` do not exist: each step is fused.

    Raises:
        TypeError, ValueError: see :class:`nnlite.Adam`.

    Source: Loshchilov and Hutter, Decoupled weight decay regularization, 2019.

    >>> import nnlite as nn
    >>> layer = nn.Linear(1, 1)
    >>> layer.Phi = [1.0, 2.0]
    >>> layer.dPhi = [10.0, -20.0]
    >>> nn.AdamW(layer, lr=0.25, weight_decay={"W": 1.0}).step()
    >>> layer.Phi
    array([0.5 , 2.25], dtype=float32)
    """

    def __init__(
        self,
        layer: Layer,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | Mapping[str, float] = 1e-2,
        amsgrad: bool = False,
        maximize: bool = False,
        lr_factor: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(
            layer, lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize,
            decoupled_weight_decay=True, lr_factor=lr_factor,
        )  # fmt: skip
