import torch

from fewskin.functional.patches import _patches, encode, fit_dictionary


def images(n: int = 6, size: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_patches_are_whitened() -> None:
    made = fit_dictionary(images(40), n_atoms=4)
    rows = (_patches(images(40)).flatten(0, 1) - made.mean) @ made.whiten
    covariance = torch.cov(rows.T)
    # The floor of 2 % of the mean variance takes a little from each direction.
    assert (covariance.diagonal() - 1).abs().max() < 0.15
    assert (covariance - covariance.diagonal().diag()).abs().max() < 0.1


def test_atoms_are_the_means_of_the_patches_nearest_to_them() -> None:
    dark, light = torch.full((3, 3, 32, 32), 0.2), torch.full((3, 3, 32, 32), 0.7)
    both = torch.cat([dark, light]) + 0.001 * torch.randn(
        6, 3, 32, 32, generator=torch.Generator().manual_seed(1)
    )
    made = fit_dictionary(both, n_atoms=2, seed=3)
    rows = (_patches(both) - made.mean) @ made.whiten
    expected = torch.stack([rows[:3].flatten(0, 1).mean(0), rows[3:].flatten(0, 1).mean(0)])
    found = made.atoms[made.atoms[:, 0].argsort()]
    expected = expected[expected[:, 0].argsort()]
    torch.testing.assert_close(found, expected, atol=0.3, rtol=0.1)


def test_a_code_is_how_much_nearer_than_on_average_an_atom_is() -> None:
    made = fit_dictionary(images(), n_atoms=3)
    rows = (_patches(images(1)) - made.mean) @ made.whiten
    distance = (rows[0][:, None] - made.atoms[None]).norm(dim=2)
    near = (distance.mean(1, keepdim=True) - distance).clamp_min(0)
    found = encode(images(1), made)[0]
    torch.testing.assert_close(found[:3], near.mean(0), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found[3:6], near.std(0, correction=0), atol=1e-4, rtol=1e-3)


def test_the_same_seed_gives_the_same_dictionary_and_another_does_not() -> None:
    one, same, other = (fit_dictionary(images(), n_atoms=5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.atoms, same.atoms)
    assert not torch.equal(one.atoms, other.atoms)


def test_images_of_other_sizes_and_types_are_taken() -> None:
    made = fit_dictionary((images(size=48) * 255).to(torch.uint8), n_atoms=5)
    assert encode(images(2, size=40), made).shape == (2, 15)
