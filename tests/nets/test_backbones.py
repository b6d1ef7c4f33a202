import json
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fewskin import compat
from fewskin.errors import ConfigError, StageError
from fewskin.nets.backbones import list_backbones, make_backbone, normalise

ONE_OF_EACH_FAMILY = [
    "conv4",
    "conv6",
    "gconv6",
    "gconv6m",
    "resnet12",
    "resnet18",
    "densenet121",
    "mobilenetv2_050",
    "mobilenetv3_small_050",
    "convnext_atto",
    "vit_tiny_patch16_224",
]


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_forward_is_pool_of_last_block_of_trunk(name: str) -> None:
    net = make_backbone(name, image_size=32).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        whole, parts = net(images), net.pool(net.last_block(net.trunk(images)))
    assert whole.shape == (2, net.feature_dim)
    assert torch.equal(whole, parts)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_050", "convnext_atto"])
def test_cutting_a_timm_net_leaves_its_features(name: str, tmp_path: Path) -> None:
    peer = compat.import_timm().create_model(name, num_classes=0).eval()
    save_file(peer.state_dict(), tmp_path / "peer.safetensors")
    net = make_backbone(name, weights=tmp_path / "peer.safetensors", image_size=32).eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    config = peer.pretrained_cfg
    mean, std = torch.tensor(config["mean"]), torch.tensor(config["std"])
    with torch.inference_mode():
        # timm wants images standardised with the mean and deviation of what it was trained on.
        expected = peer((images / 255 - mean[:, None, None]) / std[:, None, None])
        torch.testing.assert_close(net(normalise(images)), expected, atol=1e-4, rtol=1e-4)


def test_conv4_has_the_published_number_of_weights() -> None:
    # 113,088 with the 256 biases that BatchNorm makes idle (Chen et al. 2019, conv4-64).
    net = make_backbone("conv4")
    assert sum(p.numel() for p in net.parameters()) == 113_088 - 256
    assert net.feature_dim == 64


def test_resnet12_has_the_published_number_of_weights() -> None:
    # 12.4 million: Lee et al. 2019, widths 64, 160, 320, 640.
    n = sum(p.numel() for p in make_backbone("resnet12").parameters())
    assert round(n / 1e6, 1) == 12.4


def test_normalise_takes_bytes_and_shares_alike() -> None:
    images = torch.tensor([0, 128, 255], dtype=torch.uint8).reshape(1, 3, 1, 1)
    made = normalise(images).flatten()
    # (v / 255 - 0.5) / 0.25
    torch.testing.assert_close(made, torch.tensor([-2.0, 0.0078431, 2.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(normalise(images.float() / 255).flatten(), made)


def test_first_weights_depend_on_the_seed_and_on_nothing_else() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = make_backbone("conv4", seed=1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    same, other = make_backbone("conv4", seed=1), make_backbone("conv4", seed=2)
    key = "trunk.1.0.0.weight"
    assert torch.equal(one[key], same.state_dict()[key])
    assert not torch.equal(one[key], other.state_dict()[key])


def test_own_backbones_come_first_in_the_list() -> None:
    names = list_backbones()
    assert names[:6] == ["conv4", "conv6", "gconv6", "gconv6m", "resnet10", "resnet12"]
    assert "resnet50" in names


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'resnet18'"):
        make_backbone("resnet188")


def test_images_too_small_for_a_net_are_named() -> None:
    with pytest.raises(ConfigError, match="inception_v3 cannot take 64 px"):
        make_backbone("inception_v3", image_size=64)


def test_weights_say_what_they_were_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    save_file(make_backbone("conv4", seed=3).state_dict(), file)
    assert make_backbone("conv4").pretrained_on == ""
    loaded = make_backbone("conv4", weights=file)
    assert loaded.pretrained_on == "unknown"
    expected = make_backbone("conv4", seed=3).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
    file.with_suffix(".json").write_text(json.dumps({"pretrained_on": "my clinic"}))
    assert make_backbone("conv4", weights=file).pretrained_on == "my clinic"


def test_a_checkpoint_of_another_training_script_is_unwrapped(tmp_path: Path) -> None:
    state = make_backbone("conv4", seed=3).state_dict()
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}
    torch.save(wrapped, tmp_path / "mine.pth")
    loaded = make_backbone("conv4", weights=tmp_path / "mine.pth").state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in state.items())


def test_weights_of_another_net_are_refused_by_name(tmp_path: Path) -> None:
    save_file(make_backbone("conv6").state_dict(), tmp_path / "conv6.safetensors")
    with pytest.raises(ConfigError, match=r"does not fit backbone conv4: last_block.0.weight is"):
        make_backbone("conv4", weights=tmp_path / "conv6.safetensors")


def test_a_file_that_holds_no_weights_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(ConfigError, match="cannot read weights") as caught:
        make_backbone("conv4", weights=tmp_path / "text.pth")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="does not exist"):
        make_backbone("conv4", weights=tmp_path / "absent.pth")


def test_published_weights_without_a_network_fail_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fewskin.nets.weights._online", lambda: False)
    monkeypatch.setattr("fewskin.nets.weights._cached", lambda config: False)
    started = time.monotonic()
    with pytest.raises(StageError, match=r"weights=<file.safetensors>"):
        make_backbone("resnet18", weights="pretrained")
    assert time.monotonic() - started < 5
    with pytest.raises(ConfigError, match="conv4 has no published weights"):
        make_backbone("conv4", weights="pretrained")
