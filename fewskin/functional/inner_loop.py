"""The inner loop of meta-learning: gradient steps on a task that can be differentiated through.

Finn et al., Model-agnostic meta-learning for fast adaptation of deep networks, 2017,
arXiv:1703.03400 (`adapt`); Li et al., Meta-SGD, 2017, arXiv:1707.09835, and Antoniou et al., How to
train your MAML, 2019, arXiv:1810.09502 (rates by parameter, layer and step; `step_shares`); Nichol
et al., On first-order meta-learning algorithms, 2018, arXiv:1803.02999 (`interpolated`); Li et al.,
Difficulty-aware meta-learning for rare disease diagnosis, 2020, arXiv:1907.00354 (`difficult`);
Triantafillou et al., Meta-Dataset, 2020, arXiv:1903.03096 (`prototype_head`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fewskin.errors import ConfigError

__all__ = [
    "Order",
    "Parameters",
    "Rates",
    "adapt",
    "balanced",
    "difficult",
    "interpolated",
    "prototype_head",
    "step_shares",
    "weighted_loss",
]

Order = Literal["second", "first", "none"]
Parameters = dict[str, Tensor]
Rates = float | Mapping[str, Tensor | float]


def adapt(
    loss: Callable[[Parameters], Tensor],
    parameters: Mapping[str, Tensor],
    *,
    rates: Rates | Sequence[Rates],
    steps: int,
    order: Order = "second",
    batched: bool = False,
) -> list[Parameters]:
    """Return the parameters after each of `steps` gradient steps; [-1] is the adapted ones.

    Args:
        loss: parameters -> scalar loss of the support set.
        parameters: by name; not changed.
        rates: learning rate of all, or by name, in which case parameters without a rate stay as
            they are; or one of these a step, the last of which goes on.
        steps: number of steps, >= 0; none gives an empty list.
        order: "second" keeps the graph of the gradients, "first" takes them as constants, "none"
            cuts the result from `parameters`.
        batched: under `torch.func.vmap`, where only `torch.func.grad` works; slower elsewhere.

    Raises:
        ConfigError: unknown order.

    Example:
        One step of size 0.1 from w = 3 on w^2 / 2 gives 0.9 w; at first order the derivative of
        that is taken as 1.

        >>> start = {"w": torch.tensor(3.0, requires_grad=True)}
        >>> end = adapt(lambda p: p["w"] ** 2 / 2, start, rates=0.1, steps=1)[-1]["w"]
        >>> round(end.item(), 4), round(torch.autograd.grad(end, start["w"])[0].item(), 4)
        (2.7, 0.9)
        >>> ends = adapt(lambda p: p["w"] ** 2 / 2, start, rates=0.1, steps=1, order="first")
        >>> torch.autograd.grad(ends[-1]["w"], start["w"])[0].item()
        1.0
    """
    if order not in ("second", "first", "none"):
        raise ConfigError(f"order={order!r}: expected second, first or none.")
    now = dict(parameters)
    if order == "none":
        now = {name: value.detach() for name, value in now.items()}
    made = []
    for step in range(steps):
        by_name = _rates(rates, step, now)
        moving = {name: now[name] for name in by_name}
        gradients = _gradients(loss, now, moving, order, batched)
        now = now | {
            name: value - by_name[name] * gradients[name] for name, value in moving.items()
        }
        if order == "none":
            now = {name: value.detach() for name, value in now.items()}
        made.append(now)
    return made


def _rates(
    rates: Rates | Sequence[Rates], step: int, parameters: Parameters
) -> Mapping[str, Tensor | float]:
    if isinstance(rates, Sequence):
        rates = rates[min(step, len(rates) - 1)]
    return rates if isinstance(rates, Mapping) else dict.fromkeys(parameters, rates)


def _gradients(
    loss: Callable[[Parameters], Tensor],
    whole: Parameters,
    moving: Parameters,
    order: Order,
    batched: bool,
) -> Parameters:
    if batched:
        # What is differentiated at the outer level is cut here, so that no graph of it is built.
        start = moving if order == "second" else _cut(moving)
        rest = whole if order == "second" else _cut(whole)
        made: Parameters = torch.func.grad(lambda own: loss(rest | own))(start)
        return made if order == "second" else _cut(made)
    moving = {name: _input(value, order) for name, value in moving.items()}
    with torch.enable_grad():
        value = loss(whole | moving)
        found = torch.autograd.grad(value, list(moving.values()), create_graph=order == "second")
    return dict(zip(moving, found, strict=True))


def _input(value: Tensor, order: Order) -> Tensor:
    if order == "second" and value.requires_grad:
        # A node of its own: a head made from the body's features is still another input.
        return value.view_as(value)
    return value.detach().requires_grad_()


def _cut(parameters: Parameters) -> Parameters:
    return {name: value.detach() for name, value in parameters.items()}


def weighted_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean cross-entropy, a scalar.

    Args:
        logits: (n, c) float.
        labels: (n,) integers in [0, c); a row of weight 0 may have any of them.
        weights: (n,) >= 0, see `balanced`.

    Example:
        >>> logits, labels = torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.tensor([0, 1])
        >>> round(weighted_loss(logits, labels, torch.tensor([1.0, 0.0])).item(), 4)
        0.6931
    """
    each = cross_entropy(logits, labels, reduction="none")
    return (each * weights).sum() / weights.sum()


def balanced(labels: Tensor, weights: Tensor, n_classes: int) -> Tensor:
    """Return the weights scaled so that each class has the same sum, (n,); all sum to 1.

    Args:
        labels: (n,) integers in [0, n_classes).
        weights: (n,) >= 0; of each class some above 0.
        n_classes: number of classes.

    Example:
        >>> balanced(torch.tensor([0, 0, 1]), torch.ones(3), 2).tolist()
        [0.25, 0.25, 0.5]
    """
    member = labels[:, None] == torch.arange(n_classes, device=labels.device)  # (n, c)
    shares = member * weights[:, None]
    return (shares / (n_classes * shares.sum(0))).sum(1)


def prototype_head(
    features: Tensor, labels: Tensor, n_classes: int, weights: Tensor, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return weight (c, d) and bias (c,) of a linear head that is a nearest-prototype classifier.

    Its logits are minus the squared distances to the class means, but for a term that all classes
    share; equation 4 of Meta-Dataset.

    Args:
        features: (n, d) float.
        labels: (n,) integers in [0, n_classes).
        n_classes: number of classes.
        weights: (n,) >= 0.
        scale: factor of the squared distance.

    Example:
        >>> rows, labels = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 1])
        >>> weight, bias = prototype_head(rows, labels, 2, torch.ones(2))
        >>> (torch.tensor([1.0, 0.0]) @ weight.T + bias).tolist()  # -0 + 1 and -10 + 1
        [1.0, -9.0]
    """
    # Out of place, unlike `prototypes.centres`, for vmap.
    member = (labels == torch.arange(n_classes, device=labels.device)[:, None]) * weights  # (c, n)
    middle = (member / member.sum(1, keepdim=True)).to(features) @ features  # -> (c, d)
    return 2.0 * scale * middle, -scale * middle.square().sum(1)


def step_shares(steps: int, progress: float) -> list[float]:
    """Return how much the loss after each inner step counts; they sum to 1.

    MAML++'s multi-step loss: all alike at first, and only the last at the end.

    Args:
        steps: number of inner steps.
        progress: from 0 to 1; 1 and more is the end.

    Example:
        >>> step_shares(4, 0.0), step_shares(4, 0.5), step_shares(2, 1.0)
        ([0.25, 0.25, 0.25, 0.25], [0.125, 0.125, 0.125, 0.625], [0.0, 1.0])
    """
    early = (1.0 - min(progress, 1.0)) / steps
    return [early] * (steps - 1) + [1.0 - early * (steps - 1)]


def interpolated(
    start: Mapping[str, Tensor], ends: Sequence[Mapping[str, Tensor]], rate: float
) -> Parameters:
    """Return Reptile's update: from `start` a share of the way to the mean of `ends`.

    Args:
        start: parameters by name.
        ends: the adapted parameters of each task.
        rate: share of the way, in [0, 1].

    Example:
        >>> interpolated({"w": torch.tensor(1.0)}, [{"w": torch.tensor(3.0)}], 0.5)
        {'w': tensor(2.)}
    """
    return {
        name: torch.lerp(value, torch.stack([end[name] for end in ends]).mean(0), rate)
        for name, value in start.items()
    }


def difficult(losses: Tensor, exponent: float) -> Tensor:
    """Return difficulty-aware losses of tasks, -(1 - p)^exponent log p: easy tasks hardly count.

    Our reading of the paper's idea that easy tasks should count less: p is exp(-loss), the
    geometric mean of the probabilities of the true classes, and the form is that of the focal loss.

    Args:
        losses: (t,) mean cross-entropy of each task, >= 0.
        exponent: >= 0; 0 leaves the losses as they are.

    Example:
        >>> p = torch.tensor([0.75, 0.5], dtype=torch.float64)
        >>> difficult(-p.log(), 1.0).div(-p.log()).round(decimals=4).tolist()
        [0.25, 0.5]
    """
    if exponent == 0:
        return losses
    # A loss of 0 has no derivative under an exponent below 1.
    return (-torch.expm1(-losses)).clamp_min(1e-6) ** exponent * losses
