"""Transductive inference: the images to be classified take part in forming the classes.

Every function takes the features of the support rows, how much each of them belongs to each class,
and the features of all query rows, and returns the probabilities of the query rows. Sums run in
float64, so that the order of the query rows changes nothing that float32 shows.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from fewskin.functional.prototypes import logits

__all__ = [
    "affinity",
    "bdcspn",
    "laplacian_energy",
    "laplacianshot",
    "membership",
    "propagate",
    "soft_kmeans",
    "tim",
    "tim_loss",
]


def membership(labels: Tensor, n_classes: int, weights: Tensor | None = None) -> Tensor:
    """Return (n, n_classes) the weight of each row in each class: one-hot times the row's weight.

    Args:
        labels: (n,) integers in [0, n_classes).
        n_classes: number of classes.
        weights: (n,) weight of each row, >= 0; 1 when None.

    Example:
        >>> membership(torch.tensor([1, 0]), 2, torch.tensor([1.0, 0.5])).tolist()
        [[0.0, 1.0], [0.5, 0.0]]
    """
    member = one_hot(labels, n_classes).float()
    return member if weights is None else member * weights.to(member)[:, None]


def _doubles(*values: Tensor) -> tuple[Tensor, ...]:
    return tuple(value.double() for value in values)


def _means(features: Tensor, member: Tensor) -> Tensor:
    return (member / member.sum(0)).T @ features  # (c, n) @ (n, d) -> (c, d)


def _towards_support(support: Tensor, member: Tensor, query: Tensor) -> Tensor:
    """Return query rows moved so that their mean is the mean of the class means."""
    return query + (_means(support, member).mean(0) - query.mean(0))


def bdcspn(
    support: Tensor, member: Tensor, query: Tensor, *, scale: float = 10.0, shift: bool = True
) -> Tensor:
    """Return probabilities from prototypes rectified with pseudo-labelled query rows.

    Liu et al., Prototype rectification for few-shot learning, 2020, arXiv:1911.10713: query rows
    move to the mean of the support (equation 6), each takes the class it is nearest to, and a
    prototype is the mean of its support and pseudo-labelled rows, weighted by how near each is to
    the first prototype (equations 4 and 5).

    Args:
        support: (s, d) float.
        member: (s, c) weight of each support row in each class, as `membership` returns it.
        query: (q, d) float.
        scale: factor of the cosine.
        shift: whether query rows move; right where their classes are as balanced as the support's.

    Returns:
        (q, c) float32.

    Example:
        >>> support, query = torch.eye(2), torch.tensor([[2.0, 1.0], [1.0, 3.0]])
        >>> bdcspn(support, torch.eye(2), query, shift=False).argmax(1).tolist()
        [0, 1]
    """
    support, member, query = _doubles(support, member, query)
    if shift:
        query = _towards_support(support, member, query)
    first = _means(support, member)
    near = logits(query, first, metric="cosine", scale=scale)
    taken = one_hot(near.argmax(1), len(first)).double()
    rows = torch.cat([support, query])
    closeness = torch.cat([logits(support, first, metric="cosine", scale=scale), near])
    # exp(closeness - scale) is at most 1; the factor cancels in each class's mean.
    weights = torch.cat([member, taken]) * (closeness - scale).exp()
    rectified = _means(normalize(rows, dim=1), weights)
    return logits(query, rectified, metric="cosine", scale=scale).softmax(1).float()


def soft_kmeans(
    support: Tensor, member: Tensor, query: Tensor, *, scale: float = 5.0, refinements: int = 1
) -> Tensor:
    """Return probabilities from prototypes refined by soft k-means over the query rows.

    Ren et al., Meta-learning for semi-supervised few-shot classification, 2018, arXiv:1803.00676,
    equations 3 and 4: query rows count in each class by their probability.

    Args:
        support: (s, d) float.
        member: (s, c) weight of each support row in each class, as `membership` returns it.
        query: (q, d) float.
        scale: factor of the squared distance.
        refinements: rounds; the paper has 1.

    Returns:
        (q, c) float32.

    Example:
        >>> support, query = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.2], [0.7]])
        >>> soft_kmeans(support, torch.eye(2), query).argmax(1).tolist()
        [0, 1]
    """
    support, member, query = _doubles(support, member, query)
    rows, middle = torch.cat([support, query]), _means(support, member)
    for _ in range(refinements):
        prob = logits(query, middle, scale=scale).softmax(1)
        middle = _means(rows, torch.cat([member, prob]))
    return logits(query, middle, scale=scale).softmax(1).float()


def affinity(features: Tensor, neighbours: int) -> Tensor:
    """Return (n, n) symmetric weights: 1 between rows that are both among each other's nearest.

    Rows of which only one has the other among its nearest share 1/2; a row has none with itself.

    Args:
        features: (n, d) float.
        neighbours: nearest rows of each row by Euclidean distance; all others where there are
            fewer.

    Example:
        >>> affinity(torch.tensor([[0.0], [1.0], [3.0]]), 1).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.5, 0.0]]
    """
    near = -torch.cdist(features, features).fill_diagonal_(torch.inf)
    chosen = near.topk(min(neighbours, len(features) - 1), dim=1).indices
    directed = torch.zeros_like(near).scatter_(1, chosen, 1.0)
    return (directed + directed.T) / 2


def laplacian_energy(prob: Tensor, unary: Tensor, weights: Tensor, strength: float) -> Tensor:
    """Return the relaxed energy that `propagate` lowers; equation 3 of the LaplacianShot paper.

    Args:
        prob: (n, c) rows sum to 1.
        unary: (n, c) cost of each class for each row.
        weights: (n, n) symmetric affinities.
        strength: of the Laplacian term.

    Example:
        >>> prob, unary = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.25, 1.0]])
        >>> float(laplacian_energy(prob, unary, torch.zeros(1, 1), 1.0))
        0.25
    """
    entropy = torch.xlogy(prob, prob).sum()
    return entropy + (prob * unary).sum() - 0.5 * strength * (prob * (weights @ prob)).sum()


def propagate(unary: Tensor, weights: Tensor, strength: float, steps: int) -> Tensor:
    """Return (n, c) probabilities after bound updates; equation 10 of the LaplacianShot paper.

    Where `weights` is positive semidefinite no step raises `laplacian_energy`.

    Args:
        unary: (n, c) cost of each class for each row.
        weights: (n, n) symmetric affinities.
        strength: of the Laplacian term.
        steps: of the update; 0 gives the softmax of the costs alone.

    Example:
        >>> propagate(torch.zeros(1, 2), torch.zeros(1, 1), 1.0, 1).tolist()
        [[0.5, 0.5]]
    """
    prob = (-unary).softmax(1)
    for _ in range(steps):
        prob = (strength * (weights @ prob) - unary).softmax(1)
    return prob


def laplacianshot(
    support: Tensor,
    member: Tensor,
    query: Tensor,
    *,
    scale: float = 5.0,
    neighbours: int = 3,
    strength: float = 1.0,
    updates: int = 20,
    shift: bool = True,
) -> Tensor:
    """Return probabilities that are near to prototypes and alike among neighbouring query rows.

    Ziko et al., Laplacian regularized few-shot learning, 2020, arXiv:2006.15486. With `shift` the
    prototypes are rectified first, as in the paper.

    Args:
        support: (s, d) float.
        member: (s, c) weight of each support row in each class, as `membership` returns it.
        query: (q, d) float.
        scale: factor of the squared distance to a prototype.
        neighbours: nearest query rows that each query row should agree with.
        strength: of that agreement, the paper's lambda.
        updates: rounds of the bound update.
        shift: whether query rows move to the mean of the support and prototypes take in query
            rows; right where their classes are as balanced as the support's.

    Returns:
        (q, c) float32.

    Example:
        >>> support, query = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.1], [0.2], [0.9]])
        >>> laplacianshot(support, torch.eye(2), query, neighbours=1).argmax(1).tolist()
        [0, 0, 1]
    """
    support, member, query = _doubles(support, member, query)
    middle = _means(support, member)
    if shift:
        query = _towards_support(support, member, query)
        prob = logits(query, middle, scale=scale).softmax(1)
        middle = _means(torch.cat([support, query]), torch.cat([member, prob]))
    unary = -logits(query, middle, scale=scale)
    return propagate(unary, affinity(query, neighbours), strength, updates).float()


def tim_loss(
    centres: Tensor,
    support: Tensor,
    member: Tensor,
    query: Tensor,
    *,
    temperature: float,
    supervision: float,
    marginal: float,
    conditional: float,
) -> tuple[Tensor, Tensor]:
    """Return the loss of transductive information maximisation and its gradient in the centres.

    supervision x cross-entropy of the support - marginal x H(Y) + conditional x H(Y|X): equation 4
    of the paper. The two entropies are of the query rows; with marginal = conditional = 1 their
    part is minus the mutual information of image and class.

    Args:
        centres: (c, d) float64.
        support: (s, d) float64.
        member: (s, c) weight of each support row in each class; classes weigh the same.
        query: (q, d) float64.
        temperature: tau; logits are -tau / 2 times the squared distance.
        supervision: weight of the cross-entropy, the paper's lambda.
        marginal: weight of the entropy of the mean prediction.
        conditional: weight of the mean entropy of predictions, the paper's alpha.

    Returns:
        () loss and (c, d) gradient.

    Example:
        >>> centres, query = torch.eye(2).double(), torch.eye(2).double()
        >>> weights = dict(temperature=100.0, supervision=0.0, marginal=1.0, conditional=1.0)
        >>> loss, _ = tim_loss(centres, query, query, query, **weights)
        >>> round(float(loss), 4)  # two classes told apart for certain: -log 2
        -0.6931
    """
    wanted = member / member.sum(0) / len(centres)  # (s, c) sums to 1
    log_known = logits(support, centres, scale=temperature / 2).log_softmax(1)
    log_prob = logits(query, centres, scale=temperature / 2).log_softmax(1)
    prob = log_prob.exp()
    log_mean = prob.mean(0).clamp_min(1e-300).log()
    crossed = -(wanted * log_known).sum()
    h_given = -(prob * log_prob).sum() / len(prob)
    h_mean = -(prob.mean(0) * log_mean).sum()
    loss = supervision * crossed - marginal * h_mean + conditional * h_given
    d_prob = (marginal * (log_mean + 1) - conditional * (log_prob + 1)) / len(prob)
    d_query = prob * (d_prob - (prob * d_prob).sum(1, keepdim=True))
    d_support = supervision * (log_known.exp() * wanted.sum(1, keepdim=True) - wanted)
    gradient = d_query.T @ query + d_support.T @ support
    gradient = gradient - (d_query.sum(0) + d_support.sum(0))[:, None] * centres
    return loss, temperature * gradient


def tim(
    support: Tensor,
    member: Tensor,
    query: Tensor,
    *,
    temperature: float = 15.0,
    supervision: float = 0.1,
    marginal: float = 1.0,
    conditional: float = 0.1,
    steps: int = 100,
    lr: float = 1e-3,
) -> Tensor:
    """Return probabilities from centres that maximise the information of query rows on classes.

    Boudiaf et al., Transductive information maximization for few-shot learning, 2020,
    arXiv:2008.11297, solved by Adam from the class means (TIM-GD).

    Args:
        support: (s, d) float.
        member: (s, c) weight of each support row in each class, as `membership` returns it.
        query: (q, d) float.
        temperature: as for `tim_loss`.
        supervision: as for `tim_loss`.
        marginal: as for `tim_loss`; it pulls predictions to equal shares of the classes.
        conditional: as for `tim_loss`.
        steps: of Adam.
        lr: of Adam; steps x lr bounds how far a coordinate moves.

    Returns:
        (q, c) float32.

    Example:
        >>> support, query = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.1], [0.9]])
        >>> tim(support, torch.eye(2), query).argmax(1).tolist()
        [0, 1]
    """
    support, member, query = _doubles(support, member, query)
    centres = _means(support, member)
    first, second = torch.zeros_like(centres), torch.zeros_like(centres)
    for step in range(1, steps + 1):
        _, gradient = tim_loss(
            centres,
            support,
            member,
            query,
            temperature=temperature,
            supervision=supervision,
            marginal=marginal,
            conditional=conditional,
        )
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient.square()
        spread = (second / (1 - 0.999**step)).sqrt() + 1e-8
        centres = centres - lr * first / (1 - 0.9**step) / spread
    return logits(query, centres, scale=temperature / 2).softmax(1).float()
