"""The other sides of diffusion.py: lucidrains' denoising-diffusion-pytorch, and diffusers' example.

Both without labels, as they come, at about the parameters that are asked for. lucidrains: README
settings (1,000 steps, Trainer with batch 32, EMA 0.995, mirrored images), at its own learning rate
and, as "lucidrains-lr", at ours, which suits a short run better. diffusers: as
`train_unconditional.py` of its examples does (DDPMScheduler, epsilon, AdamW, cosine with warm-up,
EMAModel, mirrored images), with the model cut to size; also at both rates.

Their own loaders' workers are not counted. Images are drawn by their own DDIM samplers, since 1,000
steps an image would take a CPU hours; the speed at the documented steps is measured beside it.
"""

import importlib.metadata
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gan_peer import _write as write_images
from torch import Tensor

from fewskin import compat
from fewskin.protocols import ImageTable

compat.import_torchvision()

PEERS = ("lucidrains", "lucidrains-lr", "diffusers", "diffusers-lr")
_PACKAGES = {"lucidrains": "denoising-diffusion-pytorch", "diffusers": "diffusers"}
_BATCH = 32
Row = dict[str, Any]


def version_of(arm: str) -> str:
    """Return the installed version of an arm's package, or "" when it is absent."""
    try:
        return importlib.metadata.version(_PACKAGES[arm.removesuffix("-lr")])
    except importlib.metadata.PackageNotFoundError:
        return ""


def peer(
    arm: str, table: ImageTable, n: int, *, seconds: float, steps: int, parameters: int, lr: float
) -> tuple[Tensor, Row]:
    """Train for `seconds` of CPU time; return (n, 3, S, S) uint8 images and what was measured.

    Args:
        arm: one of PEERS.
        table: real images; labels are not used.
        n: images to make.
        seconds: CPU time of training.
        steps: of its DDIM sampler.
        parameters: about as many as the net has.
        lr: of the arms "-lr".
    """
    rate = lr if arm.endswith("-lr") else None
    make = _lucidrains if arm.startswith("lucidrains") else _diffusers
    with tempfile.TemporaryDirectory() as name:
        return make(table, n, Path(name), seconds, steps, parameters, rate)


def _nearest(make: Callable[[int], Any], widths: range, parameters: int) -> Any:
    """Return the net of the width whose number of parameters is nearest."""
    size = {width: sum(one.numel() for one in make(width).parameters()) for width in widths}
    return make(min(size, key=lambda width: abs(math.log(size[width] / parameters))))


def _trained(advance: Callable[[int], None], seconds: float) -> tuple[int, float]:
    """Return the steps taken and the CPU seconds they took; the first ones also warm up."""
    advance(2)
    began, steps = time.process_time(), 0
    while steps == 0 or time.process_time() - began < seconds:
        advance(5)
        steps += 5
    return steps, time.process_time() - began


def _timed(draw: Callable[[int], Tensor], n: int) -> float:
    began = time.process_time()
    draw(n)
    return n / (time.process_time() - began)


def _about(net: Any, steps: int, spent: float, sampling: float, documented: float) -> Row:
    return {
        "steps": steps,
        "images": steps * _BATCH,
        "train_images_s": round(steps * _BATCH / spent, 1),
        "sample_images_s": round(sampling, 3),
        "sample_images_s_documented": round(documented, 4),
        "parameters": sum(one.numel() for one in net.parameters()),
    }


def _lucidrains(
    table: ImageTable,
    n: int,
    folder: Path,
    seconds: float,
    sampling_steps: int,
    parameters: int,
    lr: float | None,
) -> tuple[Tensor, Row]:
    import denoising_diffusion_pytorch as package

    write_images(table, folder / "images")
    net = _nearest(lambda d: package.Unet(dim=d, dim_mults=(1, 2, 4)), range(8, 65, 4), parameters)
    diffusion = package.GaussianDiffusion(net, image_size=table.image_size, timesteps=1000)
    trainer = package.Trainer(
        diffusion,
        str(folder / "images"),
        train_batch_size=_BATCH,
        train_lr=8e-5 if lr is None else lr,
        train_num_steps=0,
        ema_decay=0.995,
        save_and_sample_every=10**9,
        results_folder=str(folder / "results"),
        calculate_fid=False,
    )

    def advance(more: int) -> None:
        trainer.train_num_steps += more
        trainer.train()

    steps, spent = _trained(advance, seconds)
    average = trainer.ema.ema_model.eval()

    def draw(many: int) -> Tensor:
        return average.sample(batch_size=many)

    # 250 steps are documented; a tenth of them is timed.
    documented = _at(average, 25, lambda: _timed(draw, 4)) / 10
    began = time.process_time()
    made = _at(average, sampling_steps, lambda: torch.cat([draw(k) for k in _chunks(n)]))
    sampling = n / (time.process_time() - began)
    pixels = (made.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    return pixels, _about(net, steps, spent, sampling, documented)


def _at(diffusion: Any, steps: int, draw: Callable[[], Any]) -> Any:
    diffusion.sampling_timesteps, diffusion.is_ddim_sampling = steps, True
    return draw()


def _chunks(n: int) -> list[int]:
    return [min(_BATCH, n - i) for i in range(0, n, _BATCH)]


def _unet(width: int, side: int) -> Any:
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=side,
        layers_per_block=2,
        block_out_channels=(width, 2 * width, 4 * width),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
    )


def _diffusers(
    table: ImageTable,
    n: int,
    folder: Path,
    seconds: float,
    sampling_steps: int,
    parameters: int,
    lr: float | None,
) -> tuple[Tensor, Row]:
    from diffusers import DDIMScheduler, DDPMScheduler
    from diffusers.optimization import get_scheduler
    from diffusers.training_utils import EMAModel

    side = table.image_size
    net = _nearest(lambda width: _unet(width, side), range(8, 57, 8), parameters)
    noises = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=lr or 1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8
    )
    # Its cosine needs the number of steps, which the time decides: constant after its warm-up.
    rates = get_scheduler("constant_with_warmup", optimizer, num_warmup_steps=500 if not lr else 50)
    average = EMAModel(
        net.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75
    )
    images = table.images()

    def advance(more: int) -> None:
        for _ in range(more):
            rows = torch.randint(len(images), (_BATCH,))
            clean = images[rows].float() / 127.5 - 1.0
            flip = torch.rand(_BATCH) < 0.5
            clean[flip] = clean[flip].flip(-1)
            noise, t = torch.randn_like(clean), torch.randint(1000, (_BATCH,))
            made = net(noises.add_noise(clean, noise, t), t).sample
            torch.nn.functional.mse_loss(made, noise).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            rates.step()
            optimizer.zero_grad()
            average.step(net.parameters())

    steps, spent = _trained(advance, seconds)
    average.copy_to(net.parameters())

    @torch.no_grad()
    def draw(many: int, scheduler: Any, of: int) -> Tensor:
        scheduler.set_timesteps(of)
        x = torch.randn(many, 3, side, side)
        for t in scheduler.timesteps:
            x = scheduler.step(net(x, t).sample, t, x).prev_sample
        return x

    # 1,000 steps are documented; a twentieth of them is timed.
    documented = _timed(lambda k: draw(k, DDPMScheduler(num_train_timesteps=1000), 50), 4) / 20
    fast = DDIMScheduler.from_config(noises.config)
    began = time.process_time()
    made = torch.cat([draw(k, fast, sampling_steps) for k in _chunks(n)])
    sampling = n / (time.process_time() - began)
    pixels = ((made * 0.5 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels, _about(net, steps, spent, sampling, documented)
