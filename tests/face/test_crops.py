from itertools import pairwise

import numpy as np
import pytest

from fewskin.errors import ConfigError, DataError
from fewskin.face.crops import FILL, PLACES, faceless_sheet, tile_sheet
from fewskin.face.landmarks import Landmarks
from fewskin.face.topology import FACE_OVAL, LEFT_EYE, LIPS_OUTER, RIGHT_BROW, RIGHT_EYE, topology
from fewskin.functional.colour import linear_to_srgb
from fewskin.functional.pose import rotation_of

SIZE, SIDE = 240, 96
TILE = SIDE // 3
CM = 11.0  # pixels
NAMES = list(PLACES)


def face(yaw: float = 0.0, roll: float = 0.0, cm: float = CM, size: int = SIZE) -> Landmarks:
    points = topology().mean @ rotation_of(yaw, 0.0, roll).T
    return Landmarks((points * [cm, -cm, -cm] + [size / 2, size / 2, 0.0]).astype(np.float32))


def noise(size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (size, size, 3), dtype=np.uint8)


def tiles(sheet: np.ndarray) -> dict[str, np.ndarray]:
    side = len(sheet) // 3
    cut = [sheet[r : r + side, c : c + side] for r in range(0, 3 * side, side)
           for c in range(0, 3 * side, side)]  # fmt: skip
    return dict(zip(NAMES, cut, strict=True))


def inside(points: np.ndarray, ring: tuple[int, ...], grow: float = 1.0) -> np.ndarray:
    """(H, W): pixels whose middle is in a convex hull of landmarks, as seen from all its edges."""
    from scipy.spatial import Delaunay

    hull = points[list(ring), :2]
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    grown = hull.mean(0) + grow * (hull - hull.mean(0))
    return Delaunay(grown).find_simplex(np.stack([x, y], -1).reshape(-1, 2)).reshape(SIZE, -1) >= 0


@pytest.mark.parametrize("layout", ["patches", "face", "masked"])
def test_a_face_of_one_colour_keeps_it(layout: str) -> None:
    colour = np.array([181, 122, 97], np.uint8)
    made = tile_sheet(np.full((400, 400, 3), colour), face(size=400), side=SIDE, layout=layout)
    other = (made.pixels.astype(int) - colour).__abs__().max(-1) > 1
    grey = np.zeros_like(other)
    if layout == "masked":
        grey[TILE : 2 * TILE, TILE : 2 * TILE] = True
    assert (other == grey).all()
    assert (made.pixels[grey] == FILL).all()


def test_shrinking_averages_light_and_not_srgb() -> None:
    # Black and white columns of one pixel: half the light, which is 188 of 255 in sRGB.
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[:, ::2] = 255
    made = tile_sheet(stripes, face(cm=80.0, size=1600), side=48)
    half = 255 * float(linear_to_srgb(np.array(0.5)))
    assert np.abs(tiles(made.pixels)["nose"].astype(float) - half).max() < 6


def test_each_tile_shows_its_own_place_of_the_subject() -> None:
    photo, points = np.zeros((SIZE, SIZE, 3), np.uint8), face().points
    for i, anchors in enumerate(PLACES.values()):
        if anchors:
            x, y = points[list(anchors), :2].mean(0).astype(int)
            photo[y - 4 : y + 5, x - 4 : x + 5] = 20 * (i + 1)
    for i, (name, tile) in enumerate(tiles(tile_sheet(photo, face(), side=SIDE).pixels).items()):
        if name != "face":
            assert tile[TILE // 2, TILE // 2, 0] == 20 * (i + 1), name
    assert points[list(PLACES["right cheek"]), 0].mean() < points[list(PLACES["nose"]), 0].mean()


@pytest.mark.parametrize("roll", [-25.0, 40.0])
def test_crops_stand_upright_whatever_the_roll(roll: float) -> None:
    straight, tilted = face(size=400), face(roll=roll, size=400)
    # A dark line from eye to eye is level, in the middle of its tile, after the head is tilted.
    rows = []
    for one in (straight, tilted):
        photo = np.full((400, 400, 3), 200, np.uint8)
        eyes = one.points[[33, 263], :2]
        for share in np.linspace(0, 1, 400):
            x, y = (eyes[0] + share * (eyes[1] - eyes[0])).astype(int)
            photo[y, x] = 0
        whole = tile_sheet(photo, one, side=SIDE, layout="face").pixels[..., 0].astype(float)
        rows.append((200 - whole).sum(1) @ np.arange(SIDE) / (200 - whole).sum())
        spread = (200 - whole).sum(1) > 0.1 * (200 - whole).sum()
        assert spread.sum() <= 3
    assert rows[0] == pytest.approx(rows[1], abs=1.0)


def test_a_masked_sheet_does_not_depend_on_eyes_brows_lips_or_surroundings() -> None:
    one, photo = face(yaw=20.0), noise()
    hidden = ~inside(one.points, FACE_OVAL, 1.2)
    for ring in (RIGHT_EYE, LEFT_EYE, RIGHT_BROW, LIPS_OUTER):
        hidden |= inside(one.points, ring)
    changed = np.where(hidden[..., None], 255 - photo, photo)
    before, after = (tile_sheet(p, one, side=SIDE, layout="masked") for p in (photo, changed))
    assert (before.pixels == after.pixels).all()
    plain = [tile_sheet(p, one, side=SIDE).pixels for p in (photo, changed)]
    assert (plain[0] != plain[1]).mean() > 0.1  # where nothing is masked they do show
    assert before.pixels.std() > 10  # and skin is there


def test_masking_leaves_the_other_skin_as_it_is() -> None:
    one, photo = face(), noise()
    plain = tiles(tile_sheet(photo, one, side=SIDE).pixels)
    masked = tiles(tile_sheet(photo, one, side=SIDE, layout="masked").pixels)
    # Brows and the hairline reach into the patch of the forehead.
    for name, least in (
        ("right cheek", 0.9),
        ("left cheek", 0.9),
        ("nose", 0.9),
        ("forehead", 0.6),
    ):
        assert (plain[name] == masked[name]).mean() > least, name
    mouth = (plain["right of the mouth"] == masked["right of the mouth"]).all(-1)
    assert 0.3 < mouth.mean() < 0.95
    assert np.ptp(masked["face"]) == 0


def test_a_cheek_that_is_turned_away_is_grey_and_the_other_is_not() -> None:
    made = tile_sheet(noise(), face(yaw=60.0), side=SIDE)
    shares = made.visible
    away, near = sorted(("right cheek", "left cheek"), key=shares.__getitem__)
    assert shares[away] < 0.5 < 0.9 < shares[near]
    cut = tiles(made.pixels)
    assert (cut[away] == FILL).all()
    assert cut[near].std() > 5


def test_less_of_a_cheek_is_seen_the_further_the_head_turns() -> None:
    shares = [tile_sheet(noise(), face(yaw=y), side=SIDE).visible for y in (0, 30, 45, 60, 75)]
    least = [min(s["right cheek"], s["left cheek"]) for s in shares]
    assert all(a >= b for a, b in pairwise(least))
    assert least[0] > 0.95
    assert least[-1] < 0.1


def test_what_lies_outside_the_photograph_is_grey() -> None:
    points = face().points - np.array([0.0, 70.0, 0.0], np.float32)  # the forehead is cut off
    made = tile_sheet(noise(), Landmarks(points), side=SIDE)
    assert made.visible["forehead"] < 0.5
    assert (tiles(made.pixels)["forehead"] == FILL).all()
    assert (tiles(made.pixels)["face"][0] == FILL).all()


def test_a_large_photograph_gives_the_sheet_of_a_small_one() -> None:
    small = noise(SIZE)
    large = small.repeat(6, 0).repeat(6, 1)
    a = tile_sheet(small, face(), side=24, layout="patches").pixels.astype(int)
    b = tile_sheet(large, face(cm=6 * CM, size=6 * SIZE), side=24).pixels.astype(int)
    assert np.abs(a - b).mean() < 4


def test_without_a_face_the_centre_takes_every_place_but_nothing_is_shown_masked() -> None:
    photo = noise(64)
    cut = tiles(faceless_sheet(photo, side=SIDE).pixels)
    assert all((tile == cut["nose"]).all() for tile in cut.values())
    assert cut["nose"].std() > 5
    assert (faceless_sheet(photo, side=SIDE, layout="masked").pixels == FILL).all()
    assert faceless_sheet(photo, side=50, layout="face").pixels.shape == (50, 50, 3)


def test_what_cannot_be_cropped_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of 3"):
        tile_sheet(noise(), face(), side=100)
    with pytest.raises(ConfigError, match="layout='tiles'"):
        tile_sheet(noise(), face(), layout="tiles")  # type: ignore[arg-type]
    points = face().points.copy()
    points[LIPS_OUTER[3]] = np.nan
    with pytest.raises(DataError, match="cannot be masked"):
        tile_sheet(noise(), Landmarks(points), layout="masked")
    points[33] = np.nan
    with pytest.raises(DataError, match="where the eyes are"):
        tile_sheet(noise(), Landmarks(points))
    with pytest.raises(DataError, match="outside the photograph"):
        tile_sheet(noise(), Landmarks(face().points + 5000))
