import torch

from fewskin.functional.contrast import nt_xent
from fewskin.nets.backbones import make_backbone
from fewskin.testing import BASE, synthetic_table
from fewskin.training.features import features, state_hash
from fewskin.training.pretrain import fit_classifier


def fit(contrast: float, steps: int = 30):
    return fit_classifier(
        make_backbone("conv4", image_size=32),
        synthetic_table(BASE, 12),
        steps=steps,
        batch_size=16,
        contrast=contrast,
        seed=1,
        out=None,
    )


def test_the_contrast_changes_what_is_learnt_and_repeats() -> None:
    one, same, plain = fit(1.0, 3), fit(1.0, 3), fit(0.0, 3)
    assert state_hash(one) == state_hash(same) != state_hash(plain)


def test_training_with_it_brings_turned_images_nearer_to_themselves() -> None:
    table = synthetic_table(BASE, 12, seed=3)
    turned = table.images().rot90(1, (2, 3)).numpy()
    other = type(table)(table.rows, turned.copy(), table.index)

    def loss(net) -> float:
        return float(nt_xent(features(net, table), features(net, other)))

    assert loss(fit(1.0, 40)) < loss(fit(0.0, 40))


def test_nt_xent_is_the_mean_over_both_views_of_a_softmax() -> None:
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(4, 6, generator=rng), torch.randn(4, 6, generator=rng)
    z = torch.nn.functional.normalize(torch.cat([a, b]), dim=1)
    total = 0.0
    for i in range(8):
        others = [j for j in range(8) if j != i]
        scores = torch.stack([z[i] @ z[j] / 0.2 for j in others])
        total += float(scores.logsumexp(0) - z[i] @ z[(i + 4) % 8] / 0.2)
    assert abs(float(nt_xent(a, b)) - total / 8) < 1e-5
