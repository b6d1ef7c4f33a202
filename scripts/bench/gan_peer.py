"""The other side of gan.py: lightweight-gan 1.2.1, as its command line sets it up, and smaller.

Gradients of one batch make a step, not of four: four times as many steps in the time. That is still
few at its widths on a CPU, so there is a second one, narrower by its own options.

It refuses to be imported without CUDA and moves everything there; on a CPU it is told that there
is one, and moves nothing. Nothing else of it is changed. Its moving average starts after 20,000
steps, so its images are those of the trained generator.
"""

import importlib
import importlib.metadata
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fewskin.protocols import ImageTable

_BATCH = 10  # its default
_SIZES: dict[str, dict[str, Any]] = {
    "lightweight-gan": {"attn_res_layers": [32]},
    "lightweight-gan-small": {"latent_dim": 64, "fmap_max": 64, "attn_res_layers": []},
}


def peer_version() -> str:
    """Return the installed version, or "" when it is absent."""
    try:
        return importlib.metadata.version("lightweight-gan")
    except importlib.metadata.PackageNotFoundError:
        return ""


def peer_images(
    arm: str, table: ImageTable, n: int, *, minutes: float, seed: int
) -> tuple[Tensor, int]:
    """Train for `minutes` of CPU time; return (n, 3, S, S) uint8 images, and the steps taken.

    Args:
        arm: "lightweight-gan" or "lightweight-gan-small".
        table: real images; labels are not used.
        n: images to make.
        minutes: at least one step is taken.
        seed: of weights and batches.
    """
    random.seed(seed)
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as name, _on_this_device():
        folder = Path(name)
        _write(table, folder / "images")
        trainer = _trainer(folder, table.image_size, _SIZES[arm])
        began, steps = time.process_time(), 0
        while time.process_time() - began < 60 * minutes:
            trainer.train()
            steps += 1
        return _images(trainer, n), steps


def _write(table: ImageTable, folder: Path) -> None:
    folder.mkdir()
    for i, pixels in enumerate(table.images().permute(0, 2, 3, 1).numpy()):
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{i}.png")


def _trainer(folder: Path, size: int, widths: dict[str, Any]) -> Any:
    module = importlib.import_module("lightweight_gan.lightweight_gan")
    trainer = module.Trainer(
        name="peer",
        results_dir=str(folder / "results"),
        models_dir=str(folder / "models"),
        image_size=size,
        batch_size=_BATCH,
        gradient_accumulate_every=1,
        disc_output_size=1,
        num_workers=0,
        save_every=10**9,
        evaluate_every=10**9,
        use_aim=False,
        **widths,
    )
    trainer.set_data_src(str(folder / "images"))
    trainer.init_GAN()
    trainer.evaluate = lambda *_, **__: None  # a page of pictures every 100 steps
    trainer.save = lambda *_: None
    return trainer


@torch.no_grad()
def _images(trainer: Any, n: int) -> Tensor:
    trainer.GAN.eval()
    made = []
    for start in range(0, n, _BATCH):
        latents = torch.randn(min(_BATCH, n - start), trainer.GAN.latent_dim)
        made.append(trainer.generate_(trainer.GAN.G, latents).cpu())
    return (torch.cat(made) * 255).round().to(torch.uint8)


@contextmanager
def _on_this_device() -> Iterator[None]:
    if torch.cuda.is_available():
        yield
        return
    zeros = torch.zeros

    def plain_zeros(*args: Any, **kwargs: Any) -> Tensor:
        return zeros(*args, **{k: v for k, v in kwargs.items() if k != "device"})

    with (
        patch.object(torch.cuda, "is_available", lambda: True),
        patch.object(Tensor, "cuda", lambda self, *_, **__: self),
        patch.object(nn.Module, "cuda", lambda self, *_, **__: self),
        patch.object(torch, "zeros", plain_zeros),
    ):
        yield
