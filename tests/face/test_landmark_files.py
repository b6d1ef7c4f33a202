import numpy as np
import pytest

from fewskin.errors import DataError
from fewskin.face.landmark_files import FROM_68, FileProvider, read_landmarks, write_landmarks
from fewskin.face.landmarks import Landmarks, pose_of
from fewskin.face.topology import LEFT_EYE, LIPS_INNER, LIPS_OUTER, RIGHT_EYE, topology

PICTURE = np.random.default_rng(0).integers(60, 200, (256, 256, 3)).astype(np.uint8)


def points(n=468):
    mesh = topology()
    both = np.concatenate([mesh.mean, mesh.mean_irises])[:n]
    return (both * [10.0, -10.0, -10.0] + [128.0, 128.0, 0.0]).astype(np.float32)


def test_npz_keeps_everything(tmp_path):
    all_points = points(478)
    face = Landmarks(all_points[:468], all_points[468:], 0.75)
    write_landmarks(face, tmp_path / "a.npz")
    back = read_landmarks(tmp_path / "a.npz")
    assert np.array_equal(back.points, face.points)
    assert np.array_equal(back.irises, face.irises)
    assert back.score == 0.75


def test_npz_without_irises_has_none(tmp_path):
    write_landmarks(Landmarks(points()), tmp_path / "a.npz")
    assert read_landmarks(tmp_path / "a.npz").irises is None


@pytest.mark.parametrize("header", ["", "x,y,z\n"])
@pytest.mark.parametrize("n", [468, 478])
def test_csv_with_and_without_names(tmp_path, header, n):
    file = tmp_path / "a.csv"
    file.write_text(header + "\n".join(",".join(map(str, row)) for row in points(n).tolist()))
    back = read_landmarks(file)
    assert np.allclose(back.points, points()[:468])
    assert (back.irises is None) == (n == 468)


def test_csv_columns_are_found_by_name(tmp_path):
    rows = [f"{i},{y},{x}" for i, (x, y, _) in enumerate(points().tolist())]
    (tmp_path / "a.csv").write_text("\n".join(["index,y,x", *rows]))
    back = read_landmarks(tmp_path / "a.csv")
    assert np.allclose(back.points[:, :2], points()[:, :2])
    assert np.isnan(back.points[:, 2]).all()


def pts(rows):
    lines = "\n".join(f"{x} {y}" for x, y in rows)
    return f"version: 1\nn_points: {len(rows)}\n{{\n{lines}\n}}\n"


def test_pts_counts_from_one_and_is_a_subset(tmp_path):
    known = points()[list(FROM_68), :2]
    (tmp_path / "a.pts").write_text(pts((known + 0.5).tolist()))  # first pixel's middle: 1, not .5
    back = read_landmarks(tmp_path / "a.pts")
    assert np.allclose(back.points[list(FROM_68), :2], known, atol=1e-4)
    assert np.isfinite(back.points[:, 0]).sum() == 68
    assert np.isnan(pose_of(back.points)).all()


def test_the_68_are_different_symmetrical_and_on_the_right_rings():
    mirror = topology().mirror
    assert len(set(FROM_68)) == 68
    assert set(mirror[list(FROM_68)].tolist()) == set(FROM_68)
    assert mirror[list(FROM_68[:17])].tolist() == list(FROM_68[16::-1])  # the jaw
    for part, ring in (
        (slice(36, 42), RIGHT_EYE),
        (slice(42, 48), LEFT_EYE),
        (slice(48, 60), LIPS_OUTER),
        (slice(60, 68), LIPS_INNER),
    ):
        assert set(FROM_68[part]) <= set(ring)


def test_five_points_are_eyes_nose_and_mouth(tmp_path):
    rows = [[100, 100], [160, 100], [130, 140], [110, 170], [150, 170]]
    np.savez(tmp_path / "a.npz", points=np.array(rows, np.float32))
    back = read_landmarks(tmp_path / "a.npz")
    assert back.irises[[0, 5], 0].tolist() == [100, 160]
    assert back.points[[4, 61, 291], 0].tolist() == [130, 110, 150]
    assert isinstance(FileProvider([tmp_path / "a.npz"]).detect([PICTURE])[0], Landmarks)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "1,2\n3,4\n"),
        ("a.csv", "a,b\n1,2\n"),
        ("a.csv", "x,y\n1\n"),
        ("a.csv", ""),
        ("a.pts", "1 2\n"),
        ("a.npz", "not a zip"),
        ("a.txt", "1 2"),
    ],
)
def test_what_is_no_file_of_landmarks_says_so(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=name):
        read_landmarks(tmp_path / name)


def test_a_pickle_in_an_npz_is_not_run(tmp_path):
    np.savez(tmp_path / "a.npz", points=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"a\.npz"):
        read_landmarks(tmp_path / "a.npz")


def test_the_provider_gives_a_reason_for_each_picture(tmp_path):
    write_landmarks(Landmarks(points()), tmp_path / "good.npz")
    (tmp_path / "bad.csv").write_text("1,2\n")
    files = [tmp_path / "good.npz", tmp_path / "bad.csv", tmp_path / "absent.csv", None]
    good, bad, absent, none = FileProvider(files).detect([PICTURE] * 4)
    assert isinstance(good, Landmarks)
    assert [bad.code, absent.code, none.code] == ["unreadable", "no_face", "no_face"]


def test_pictures_and_files_must_pair_up():
    with pytest.raises(DataError, match="1 pictures but 2 files"):
        FileProvider([None, None]).detect([PICTURE])
