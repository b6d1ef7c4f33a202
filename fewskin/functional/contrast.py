"""Two views of an image should be near each other and far from other images.

Chen et al., A simple framework for contrastive learning of visual representations, 2020,
arXiv:2002.05709.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

__all__ = ["nt_xent"]


def nt_xent(first: Tensor, second: Tensor, temperature: float = 0.2) -> Tensor:
    """Return the normalised temperature-scaled cross-entropy; equation 1 of the paper.

    Args:
        first: (n, d) float, projections of one view of n images.
        second: (n, d) float, of another view of the same images.
        temperature: divides the cosine, > 0.

    Returns:
        Scalar.

    Example:
        >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> far = nt_xent(torch.cat([a, b]), torch.cat([b, a]), 1.0)
        >>> near = nt_xent(torch.cat([a, b]), torch.cat([a, b]), 1.0)
        >>> round(float(far), 4), round(float(near), 4)  # log(2 + e), log(2 + e) - 1
        (1.5514, 0.5514)
    """
    n = len(first)
    views = normalize(torch.cat([first, second]), dim=1)
    cosine = views @ views.T / temperature  # (2 n, d) @ (d, 2 n) -> (2 n, 2 n)
    cosine = cosine.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=cosine.device), -1e9)
    partner = torch.arange(2 * n, device=cosine.device).roll(n)
    return cross_entropy(cosine, partner)
