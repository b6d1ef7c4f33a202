"""BatchNorm that normalises every image by the statistics of a task's support images.

Bronskill et al., TaskNorm: rethinking batch normalization for meta-learning, 2020,
arXiv:2003.03284 (there "MetaBN").
Differs from the paper: after adapting, the statistics are kept as running ones, so that a plain
BatchNorm predicts.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

__all__ = ["SupportNorm", "set_twice", "support_statistics", "with_support_norm"]


class SupportNorm(nn.BatchNorm2d):
    """A BatchNorm2d whose statistics come from the first rows of its batch.

    Attributes:
        rows: how many rows are support; None takes the running statistics.
        keep: whether the running statistics become those of this batch.
        twice: whether it is differentiated twice under `vmap`, where the second derivatives of
            torch's own BatchNorm are wrong (torch 2.13); it is the faster one elsewhere.
    """

    twice: bool = False
    rows: int | None = None
    keep: bool = False

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same shape; row i does not depend on other query rows."""
        if self.rows is None:
            return batch_norm(
                maps, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        if self.rows >= len(maps) and not self.keep and not self.twice:
            return batch_norm(maps, None, None, self.weight, self.bias, training=True, eps=self.eps)
        var, mean = torch.var_mean(maps[: self.rows], (0, 2, 3), correction=0)
        if self.keep and self.running_mean is not None and self.running_var is not None:
            self.running_mean.copy_(mean.detach())
            self.running_var.copy_(var.detach())
        scale = self.weight * (var + self.eps).rsqrt()
        shift = self.bias - mean * scale
        if self.twice and self.rows >= len(maps):
            return torch.addcmul(shift[:, None, None], maps, scale[:, None, None])
        # Query images are differentiated once: torch's BatchNorm of mean 0 and variance 1 is the
        # same scale and shift, with one pass over the maps in its backward instead of four.
        zero, one = torch.zeros_like(self.weight), torch.ones_like(self.weight)
        return batch_norm(maps, zero, one, scale, shift, eps=0.0)


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
def support_statistics(
    module: nn.Module, rows: int | None, *, keep: bool = False
) -> Iterator[None]:
    """Normalise by the statistics of the first `rows` images of each batch, in this context.

    Args:
        module: of `with_support_norm`; one without SupportNorm is not affected.
        rows: number of support images; None takes the running statistics.
        keep: whether the running statistics become those of the batch.
    """
    norms = [part for part in module.modules() if isinstance(part, SupportNorm)]
    try:
        for norm in norms:
            norm.rows, norm.keep = rows, keep
        yield
    finally:
        for norm in norms:
            norm.rows, norm.keep = None, False
