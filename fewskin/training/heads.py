"""Heads: small modules from features to one logit a class, saved as settings and tensors."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from fewskin.errors import PluginError
from fewskin.functional import feature_space, prototypes, transduction, whitening

__all__ = [
    "Centres",
    "Clusters",
    "Spaced",
    "Transduced",
    "Whitened",
    "head_settings",
    "make_head",
]


class Centres(nn.Module):
    """A head whose logits say how near features are to the centre of each class.

    Args:
        centres: (C, d) float.
        metric: "euclidean" or "cosine".
        scale: factor of the logits.
    """

    centres: Tensor

    def __init__(self, centres: Tensor, metric: prototypes.Metric, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("centres", centres.detach().clone())
        self.metric, self.scale = metric, float(scale)

    @property
    def settings(self) -> dict[str, Any]:
        """What else the constructor needs."""
        return {"metric": self.metric, "scale": self.scale}

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, d) to (n, C) logits."""
        return prototypes.logits(features, self.centres, metric=self.metric, scale=self.scale)


class Clusters(nn.Module):
    """A head with several centres a class, weighted by how near each is: `mixture_logits`.

    Args:
        centres: (m, d) float.
        owners: (m,) class of each centre, in [0, C).
        metric: "euclidean" or "cosine".
        scale: factor of the logits.
    """

    centres: Tensor
    owners: Tensor

    def __init__(
        self, centres: Tensor, owners: Tensor, metric: prototypes.Metric, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.register_buffer("centres", centres.detach().clone())
        self.register_buffer("owners", owners.detach().clone())
        self.n_classes = int(owners.max()) + 1
        self.metric, self.scale = metric, float(scale)

    @property
    def settings(self) -> dict[str, Any]:
        """What else the constructor needs."""
        return {"metric": self.metric, "scale": self.scale}

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, d) to (n, C) logits."""
        return prototypes.mixture_logits(
            features,
            self.centres,
            self.owners,
            self.n_classes,
            metric=self.metric,
            scale=self.scale,
        )


class Spaced(nn.Module):
    """A head in another space: features are shifted, scaled and, if wanted, made unit length.

    Args:
        head: what sees the moved features.
        shift: (d,) subtracted.
        gain: (d,) then multiplied by.
        space: then `to_space`.
    """

    shift: Tensor
    gain: Tensor

    def __init__(
        self, head: nn.Module, shift: Tensor, gain: Tensor, space: feature_space.Space = "un"
    ) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("shift", shift.detach().clone())
        self.register_buffer("gain", gain.detach().clone())
        self.space = space

    @property
    def settings(self) -> dict[str, Any]:
        """What else the constructor needs."""
        return {"space": self.space, "head": head_settings(self.head)}

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, d) to (n, C) logits."""
        moved = feature_space.to_space((features - self.shift) * self.gain, self.space)
        logits: Tensor = self.head(moved)
        return logits


class Whitened(nn.Module):
    """A head behind `squashed`, a whitening of each block of features, and unit length of each.

    Args:
        head: what sees the whitened features.
        mean: (d,) of `squashed`.
        std: (d,) of `squashed`.
        centre: (d,) subtracted before the whitening.
        matrix: (d, d) of the whitening.
        sizes: features of each block, d in all.
    """

    mean: Tensor
    std: Tensor
    centre: Tensor
    matrix: Tensor

    def __init__(
        self,
        head: nn.Module,
        mean: Tensor,
        std: Tensor,
        centre: Tensor,
        matrix: Tensor,
        sizes: Sequence[int],
    ) -> None:
        super().__init__()
        self.head = head
        tensors = {"mean": mean, "std": std, "centre": centre, "matrix": matrix}
        for name, values in tensors.items():
            self.register_buffer(name, values.detach().clone())
        self.sizes = tuple(int(size) for size in sizes)

    @property
    def settings(self) -> dict[str, Any]:
        """What else the constructor needs."""
        return {"sizes": self.sizes, "head": head_settings(self.head)}

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, d) to (n, C) logits."""
        moved = (whitening.squashed(features, self.mean, self.std) - self.centre) @ self.matrix
        logits: Tensor = self.head(whitening.to_unit_blocks(moved, self.sizes))
        return logits


class Transduced(nn.Module):
    """A head that classifies all rows of a call together: a function of `transduction`.

    Args:
        support: (s, d) float.
        member: (s, C) weight of each support row in each class.
        method: name of the function: "bdcspn", "laplacianshot", "soft_kmeans" or "tim".
        options: its keywords.
    """

    support: Tensor
    member: Tensor

    def __init__(
        self, support: Tensor, member: Tensor, method: str, options: Mapping[str, float]
    ) -> None:
        super().__init__()
        self.register_buffer("support", support.detach().clone())
        self.register_buffer("member", member.detach().clone())
        self.method, self.options = method, dict(options)

    @property
    def settings(self) -> dict[str, Any]:
        """What else the constructor needs."""
        return {"method": self.method, "options": self.options}

    def forward(self, features: Tensor) -> Tensor:
        """Map (n, d) to (n, C) log-probabilities."""
        solve = _METHODS[self.method]
        prob = solve(self.support, self.member, features, **self.options)
        return prob.clamp_min(1e-12).log()


_METHODS: Mapping[str, Callable[..., Tensor]] = {
    "bdcspn": transduction.bdcspn,
    "laplacianshot": transduction.laplacianshot,
    "soft_kmeans": transduction.soft_kmeans,
    "tim": transduction.tim,
}
_KINDS: dict[str, Callable[..., nn.Module]] = {
    "centres": Centres,
    "clusters": Clusters,
    "transduced": Transduced,
}
# Heads around a head.
_AROUND: dict[str, Callable[..., nn.Module]] = {"spaced": Spaced, "whitened": Whitened}


def head_settings(head: nn.Module) -> dict[str, Any]:  # Any: JSON
    """Return what `make_head` needs beside a head's tensors; it can be written as JSON."""
    if isinstance(head, nn.Linear):
        return {"kind": "linear"}
    kind = next(name for name, made in (_KINDS | _AROUND).items() if type(head) is made)
    settings: dict[str, Any] = head.settings  # type: ignore[assignment]  # every kind has them
    return {"kind": kind, **settings}


def make_head(settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Return the head of `head_settings` and its `state_dict`.

    Raises:
        PluginError: unknown kind, or tensors that do not belong to it.
    """
    rest = {name: value for name, value in settings.items() if name != "kind"}
    kind = settings.get("kind")
    try:
        if kind == "linear":
            n_out, n_in = tensors["weight"].shape
            head = nn.Linear(n_in, n_out, bias="bias" in tensors)
            head.load_state_dict(dict(tensors))
            return head
        if kind in _AROUND:
            own = {name: value for name, value in tensors.items() if not name.startswith("head.")}
            inner = {name: value for name, value in tensors.items() if name not in own}
            made = make_head(
                rest.pop("head"), {name.removeprefix("head."): x for name, x in inner.items()}
            )
            return _AROUND[str(kind)](made, **own, **rest)
        return _KINDS[str(kind)](**tensors, **rest)
    except (KeyError, TypeError, RuntimeError) as error:
        raise PluginError(f"a saved head of kind {kind!r} cannot be made: {error}.") from error
