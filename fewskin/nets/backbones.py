"""Backbones by name: images to features, with a seam below the last block."""

import difflib
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from fewskin import compat
from fewskin.errors import ConfigError
from fewskin.functional.tiles import tile_side
from fewskin.nets.conv import conv_net
from fewskin.nets.gconv import gconv_net
from fewskin.nets.patches import kind_of, on_tiles
from fewskin.nets.resnet10 import resnet10
from fewskin.nets.resnet12 import resnet12
from fewskin.nets.weights import Weights, reachable_weights, read_weights

__all__ = ["Backbone", "list_backbones", "make_backbone", "normalise"]

MEAN, STD = 0.5, 0.25
Parts = tuple[nn.Module, nn.Module, nn.Module]

_OWN: Mapping[str, Callable[[], tuple[nn.Sequential, nn.Module, int]]] = {
    "conv4": functools.partial(conv_net, depth=4, width=64),
    "conv6": functools.partial(conv_net, depth=6, width=32),
    "gconv6": functools.partial(gconv_net, depth=6, width=16, n_features=32, mirror=False),
    "gconv6m": functools.partial(gconv_net, depth=6, width=8, n_features=32, mirror=True),
    "resnet10": resnet10,
    "resnet12": resnet12,
}


def normalise(images: Tensor) -> Tensor:
    """Return float32 images of about zero mean and unit spread, as every backbone expects them.

    Args:
        images: (n, 3, H, W) uint8, or float in [0, 1]; sRGB.
    """
    scale = 255.0 if images.dtype == torch.uint8 else 1.0
    return images.float().mul(1.0 / (scale * STD)).sub_(MEAN / STD)


class Rescale(nn.Module):
    """Turn `normalise`d images into those that loaded weights were trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gain", torch.ones(3, 1, 1))
        self.register_buffer("shift", torch.zeros(3, 1, 1))

    def set(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Set the mean and standard deviation, per channel in [0, 1] sRGB, of those weights."""
        wanted_mean, wanted_std = torch.tensor(mean), torch.tensor(std)
        self.gain = (STD / wanted_std).reshape(-1, 1, 1)
        self.shift = ((MEAN - wanted_mean) / wanted_std).reshape(-1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) to the same shape."""
        return images * self.gain + self.shift


class Backbone(nn.Module):
    """Images to features: `pool(last_block(trunk(images)))`.

    Attributes:
        trunk: (n, 3, H, W) to maps; the part that `freeze="trunk"` keeps.
        last_block: maps to maps, one residual block, say; nothing where the architecture has no
            known seam, so that the trunk is then the whole net.
        pool: maps to (n, feature_dim).
        name: what `make_backbone` was asked for.
        feature_dim: number of features.
        image_size: side of the images it was made for, in pixels; most nets take others too.
        pretrained_on: data the weights have seen; "" when none, "unknown" when nobody says.
    """

    trunk: nn.Module
    last_block: nn.Module
    pool: nn.Module

    def __init__(self, name: str, parts: Parts, feature_dim: int, image_size: int = 64) -> None:
        super().__init__()
        trunk, self.last_block, self.pool = parts
        self.trunk = nn.Sequential(Rescale(), trunk)
        self.name, self.feature_dim, self.pretrained_on = name, feature_dim, ""
        self.image_size = image_size

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, H, W) of `normalise` to (n, feature_dim)."""
        return self.from_maps(self.trunk(images))

    def from_maps(self, maps: Tensor) -> Tensor:
        """Map what `trunk` returned to (n, feature_dim)."""
        features: Tensor = self.pool(self.last_block(maps))
        return features


def list_backbones() -> list[str]:
    """Return our own backbones, then every name of timm."""
    return [*_OWN, *(name for name in compat.import_timm().list_models() if name not in _OWN)]


def make_backbone(
    name: str, *, weights: str | Path | None = None, image_size: int = 64, seed: int = 0
) -> Backbone:
    """Return a backbone in train mode.

    Args:
        name: conv4, conv6, resnet12 or any timm name; `patches:<name>`, `regions:<name>`,
            `two_branch:<name>` and `whole:<name>` read sheets of `fewskin face crop`.
        weights: None starts from scratch; a .safetensors or .pth file of weights (a file of the
            same name ending in .json may say `{"pretrained_on": ...}`); "pretrained" takes those
            that timm names, from its cache or the network.
        image_size: side of the images, in pixels.
        seed: of the first weights.

    Raises:
        ConfigError: unknown name, weights that do not fit, or images too small for the net.
        StageError: weights="pretrained" without a network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        return _build(name, weights, image_size)


def _build(name: str, weights: str | Path | None, image_size: int) -> Backbone:
    kind, inner = kind_of(name)
    if kind:
        return _build_tiled(kind, inner, weights, image_size)
    if name in _OWN:
        if weights == "pretrained":
            raise ConfigError(f"backbone {name} has no published weights; pass a file, or none.")
        trunk, last_block, n_features = _OWN[name]()
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        backbone = Backbone(name, (trunk, last_block, pool), n_features, image_size)
        return backbone if weights is None else _load(backbone, None, read_weights(Path(weights)))
    net = _timm_net(name, image_size)
    found = None
    if weights is not None:
        found = reachable_weights(net) if weights == "pretrained" else read_weights(Path(weights))
        if not found.is_backbone:
            _fill(net, found, name)
    parts, n_features = _split(name, net, image_size)
    backbone = Backbone(name, parts, n_features, image_size)
    return backbone if found is None else _load(backbone, net, found)


def _build_tiled(kind: str, inner: str, weights: str | Path | None, image_size: int) -> Backbone:
    name, found = f"{kind}:{inner}", None
    if weights is not None and weights != "pretrained":
        found = read_weights(Path(weights))
        # A fitted net for sheets, rather than one for single images.
        found = found if any(".each." in key for key in found.tensors) else None
    net = _build(inner, weights if found is None else None, tile_side(image_size))
    rescale, trunk = net.trunk.children()
    parts, n_features = on_tiles(kind, (trunk, net.last_block, net.pool), net.feature_dim)
    backbone = Backbone(name, parts, n_features, image_size)
    backbone.trunk = nn.Sequential(rescale, parts[0])
    backbone.pretrained_on = net.pretrained_on
    return backbone if found is None else _load(backbone, None, found)


def _timm_net(name: str, image_size: int) -> nn.Module:
    timm = compat.import_timm()
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, list_backbones(), n=1)
        hint = f", did you mean {close[0]!r}?" if close else "."
        raise ConfigError(f"unknown backbone {name!r}{hint} See `fewskin list backbones`.")
    net: Any = timm.create_model(name, num_classes=0)  # Any: only some have a fixed input size
    if hasattr(net, "set_input_size"):
        net.set_input_size(img_size=(image_size, image_size))
    return cast(nn.Module, net)


def _load(backbone: Backbone, net: Any, found: Weights) -> Backbone:  # Any: a timm model
    if found.is_backbone:
        _fill(backbone, found, backbone.name)
    elif net is not None:
        config = getattr(net, "pretrained_cfg", {})
        rescale = backbone.trunk[0]  # type: ignore[index]  # the trunk is our own Sequential
        rescale.set(found.mean or config["mean"], found.std or config["std"])
    backbone.pretrained_on = found.pretrained_on
    return backbone


def _fill(module: nn.Module, found: Weights, name: str) -> None:
    wanted = module.state_dict()
    for key, own in wanted.items():
        if key not in found.tensors:
            raise ConfigError(f"{found.where} does not fit backbone {name}: it lacks {key!r}.")
        if found.tensors[key].shape != own.shape:
            got = tuple(found.tensors[key].shape)
            raise ConfigError(
                f"{found.where} does not fit backbone {name}: {key} is {got}, "
                f"expected {tuple(own.shape)}."
            )
    # A classifier of other classes may be in the file; it is not wanted.
    module.load_state_dict({key: found.tensors[key] for key in wanted})


def _split(name: str, net: nn.Module, image_size: int) -> tuple[Parts, int]:
    """Cut a timm net below its last block, where that gives the same features as the net itself."""
    example = torch.linspace(-1.0, 1.0, 3 * image_size**2).reshape(1, 3, image_size, image_size)
    training = net.training
    net.eval()
    with torch.inference_mode():
        try:
            expected = net(example)
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "too small"
            raise ConfigError(f"backbone {name} cannot take {image_size} px: {reason}") from error
        parts = _seam(net)
        if parts is not None and not _same(parts, example, expected):
            parts = None
    net.train(training)
    return parts or (net, nn.Identity(), nn.Identity()), int(expected.shape[1])


def _same(parts: Parts, example: Tensor, expected: Tensor) -> bool:
    maps = example
    for part in parts:
        maps = part(maps)
    return maps.shape == expected.shape and bool(torch.allclose(maps, expected, atol=1e-5))


def _seam(net: Any) -> Parts | None:  # Any: a timm model of any architecture
    if hasattr(net, "layer4") and hasattr(net, "maxpool"):  # ResNet and its kin
        stem = [net.conv1, net.bn1, net.act1, net.maxpool, net.layer1, net.layer2, net.layer3]
        return nn.Sequential(*stem, *net.layer4[:-1]), net.layer4[-1], net.global_pool
    if hasattr(net, "conv_stem") and hasattr(net, "bn2"):  # EfficientNet, MobileNetV2
        trunk = nn.Sequential(net.conv_stem, net.bn1, *net.blocks[:-1])
        return trunk, nn.Sequential(net.blocks[-1], net.conv_head, net.bn2), net.global_pool
    if hasattr(net, "features") and hasattr(net.features, "norm5"):  # DenseNet
        return net.features[:-2], net.features[-2:], net.global_pool
    if hasattr(net, "features") and hasattr(net, "pre_logits"):  # VGG: its last convolution
        cut = max(i for i, layer in enumerate(net.features) if isinstance(layer, nn.Conv2d))
        return net.features[:cut], net.features[cut:], nn.Sequential(net.pre_logits, net.head)
    if hasattr(net, "stem") and isinstance(getattr(net, "stages", None), nn.Sequential):
        trunk = nn.Sequential(net.stem, *net.stages[:-1])
        norm = getattr(net, "norm_pre", nn.Identity())
        return trunk, nn.Sequential(net.stages[-1], norm), net.head
    return None
