"""BatchNorm that normalises every image by the statistics of a task's support images.

Bronskill et al., TaskNorm: rethinking batch normalization for meta-learning, 2020,
arXiv:2003.03284 (there "MetaBN").
Differs from the paper: after adapting, the statistics are kept as running ones, so that a plain
BatchNorm predicts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

__all__ = ["Role", "SupportNorm", "norm_role", "set_twice", "with_support_norm"]

# What a batch is: "support" has statistics of its own, "first" too, and leaves them for the
# "query" batch that comes after it; "last" makes them the running ones, which a plain batch takes.
Role = Literal["plain", "support", "first", "query", "last"]


class SupportNorm(nn.BatchNorm2d):
    """A BatchNorm2d that normalises query images by the statistics of the support.

    Attributes:
        role: what the next batch is, see `norm_role`.
        twice: whether it is differentiated twice under `vmap`, where the second derivatives of
            torch's own BatchNorm are wrong (torch 2.13); it is the faster one elsewhere.
    """

    role: Role = "plain"
    twice: bool = False
    _left: tuple[Tensor, Tensor] | None = None

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same shape; row i does not depend on other query rows."""
        if self.role == "plain":
            return batch_norm(
                maps, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        if self.role == "support" and not self.twice:
            return batch_norm(maps, None, None, self.weight, self.bias, training=True, eps=self.eps)
        scale, shift = self._scale_shift(maps)
        if self.role == "support":
            return torch.addcmul(shift[:, None, None], maps, scale[:, None, None])
        # Query images are differentiated once: torch's BatchNorm of mean 0 and variance 1 is the
        # same scale and shift, with one pass over the maps in its backward instead of four.
        zero, one = torch.zeros_like(self.weight), torch.ones_like(self.weight)
        return batch_norm(maps, zero, one, scale, shift, eps=0.0)

    def _scale_shift(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        if self.role == "query":
            assert self._left is not None, "a query batch comes after a first one"
            return self._left
        var, mean = torch.var_mean(maps, (0, 2, 3), correction=0)
        if self.role == "last" and self.running_mean is not None and self.running_var is not None:
            self.running_mean.copy_(mean.detach())
            self.running_var.copy_(var.detach())
        scale = self.weight * (var + self.eps).rsqrt()
        shift = self.bias - mean * scale
        if self.role == "first":
            self._left = scale, shift
        return scale, shift

    def forget(self) -> None:
        """Take plain batches again, and hold no statistics of a first batch."""
        self.role, self._left = "plain", None


def with_support_norm(module: nn.Module) -> nn.Module:
    """Replace the BatchNorm2d of a module, in place; parameters and names stay the same.

    Subclasses of BatchNorm2d, such as timm's that include the activation, are left as they are.
    """
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                made = SupportNorm(child.num_features, eps=child.eps, momentum=child.momentum)
                made._parameters, made._buffers = child._parameters, child._buffers
                setattr(parent, name, made.train(child.training))
    return module


def set_twice(module: nn.Module, twice: bool) -> None:
    """Say whether the SupportNorms of a module are differentiated twice under `vmap`."""
    for part in module.modules():
        if isinstance(part, SupportNorm):
            part.twice = twice


@contextmanager
def norm_role(module: nn.Module) -> Iterator[Callable[[Role], None]]:
    """Say what the next batch is, in this context; afterwards batches are plain again.

    Args:
        module: of `with_support_norm`; one without SupportNorm is not affected.
    """
    norms = [part for part in module.modules() if isinstance(part, SupportNorm)]

    def say(role: Role) -> None:
        for norm in norms:
            norm.role = role

    try:
        yield say
    finally:
        for norm in norms:
            norm.forget()
