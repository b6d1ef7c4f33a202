"""Weights for backbones: local files first, the network only when asked and reachable."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fewskin import compat
from fewskin.errors import ConfigError, StageError

__all__ = ["Weights", "reachable_weights", "read_weights"]

_WRAPPERS = ("state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "backbone.")
_SECONDS = 3.0


@dataclass(frozen=True)
class Weights:
    """A state dictionary and what is known about it.

    Attributes:
        tensors: name -> values.
        where: file or tag, for messages.
        pretrained_on: the data it was trained on; "unknown" when nobody says.
        mean: per channel in [0, 1], of the images it was trained on; None takes the net's own.
        std: the same for the standard deviation.
    """

    tensors: Mapping[str, Tensor]
    where: str
    pretrained_on: str = "unknown"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def is_backbone(self) -> bool:
        """Whether this is the state of a `Backbone` rather than of the net inside it."""
        return any(name.startswith("trunk.") for name in self.tensors)


def read_weights(file: Path) -> Weights:
    """Read a .safetensors file, or a .pth or .pt file that holds tensors only.

    A JSON file of the same name may give `pretrained_on`, `mean` and `std`.

    Raises:
        ConfigError: no such file, or something else than tensors in it.
    """
    if not file.is_file():
        raise ConfigError(f"weights={file} does not exist; expected a .safetensors or .pth file.")
    try:
        if file.suffix == ".safetensors":
            tensors: Any = load_file(file)
        else:
            tensors = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise many kinds on a damaged file
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"cannot read weights from {file}: {reason}") from error
    sidecar = file.with_suffix(".json")
    about = json.loads(sidecar.read_text()) if sidecar.is_file() else {}
    return Weights(
        _unwrap(tensors, file),
        str(file),
        about.get("pretrained_on", "unknown"),
        tuple(about["mean"]) if "mean" in about else None,
        tuple(about["std"]) if "std" in about else None,
    )


def _unwrap(tensors: Any, file: Path) -> dict[str, Tensor]:  # Any: what the file held
    for name in _WRAPPERS:
        if isinstance(tensors, dict) and isinstance(tensors.get(name), dict):
            tensors = tensors[name]
    if not isinstance(tensors, dict):
        raise ConfigError(f"{file} holds {type(tensors).__name__}, expected named tensors.")
    found = {key: value for key, value in tensors.items() if isinstance(value, Tensor)}
    for prefix in _PREFIXES:
        if found and all(key.startswith(prefix) for key in found):
            found = {key.removeprefix(prefix): value for key, value in found.items()}
    return found


def reachable_weights(net: nn.Module) -> Weights:
    """Return the weights timm names for `net`, downloading them when they are not in its cache.

    Raises:
        StageError: they are not cached and there is no network.
    """
    config: Any = net.pretrained_cfg  # a timm model's dictionary
    name, tag = config.get("architecture", "?"), config.get("tag") or ""
    if not (config.get("hf_hub_id") or config.get("url")):
        raise ConfigError(f"backbone {name} has no published weights; pass weights=<file> or none.")
    full_name = f"{name}.{tag}" if tag else name
    if not _cached(config) and not _online():
        raise StageError(
            f"weights=pretrained needs {full_name} from the network, which cannot be reached. "
            "Pass weights=<file.safetensors> of a copy on this machine, or leave weights out."
        )
    tensors = compat.import_timm().create_model(full_name, pretrained=True).state_dict()
    return Weights(tensors, full_name, _data_of(tag))


def _cached(config: Mapping[str, Any]) -> bool:
    from huggingface_hub import try_to_load_from_cache

    names = ("model.safetensors", "pytorch_model.bin")
    hub_id = config.get("hf_hub_id") or ""
    return bool(hub_id) and any(
        isinstance(try_to_load_from_cache(hub_id, name), str) for name in names
    )


def _online() -> bool:
    # timm would retry for tens of seconds.
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    address = urlsplit(constants.ENDPOINT)
    try:
        with socket.create_connection((address.hostname, address.port or 443), timeout=_SECONDS):
            return True
    except OSError:
        return False


def _data_of(tag: str) -> str:
    # timm's tags end in what a model was trained and tuned on, e.g. "augreg_in21k_ft_in1k".
    known = {"in1k": "ImageNet-1k", "in12k": "ImageNet-12k", "in21k": "ImageNet-21k"}
    known |= {"in22k": "ImageNet-22k", "laion2b": "LAION-2B", "lvd142m": "LVD-142M"}
    found = [known[part] for part in tag.split("_") if part in known]
    return ", ".join(found) or "unknown"
