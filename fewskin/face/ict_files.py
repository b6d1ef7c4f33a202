"""Reading ICT-FaceKit's files: its folder of OBJ files, or one .npz of them."""

import gzip
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.errors import DataError

__all__ = ["IctFiles", "read_ict"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

_N_VERTICES, _N_FACES = 26719, 26384
_WHERE = "https://github.com/ICT-VGL/ICT-FaceKit"
_NEUTRAL = "generic_neutral_mesh"


class IctFiles(NamedTuple):
    """The model as its files have it.

    Attributes:
        neutral: (26719, 3) cm.
        uv: (U, 2), several tiles side by side.
        faces: (26384, 4) vertices; the fourth is -1 where a face is a triangle.
        uv_faces: (26384, 4) the same into `uv`.
        identity: (I, 26719, 3) differences from neutral.
        expression: (E, 26719, 3) differences from neutral.
        names: of the expressions.
    """

    neutral: Floats
    uv: Floats
    faces: Ints
    uv_faces: Ints
    identity: Floats
    expression: Floats
    names: tuple[str, ...]


def read_ict(source: Path, *, n_identity: int = 100) -> IctFiles:
    """Read ICT-FaceKit.

    Args:
        source: the folder `FaceXModel` of ICT-FaceKit (or the one around it), or an .npz with
            `neutral`, `uv`, `faces_quad`, `faces_uv_quad`, `identity_delta`, `expression_delta`
            and `expression_names`.
        n_identity: modes of identity to read, the strongest first.

    Raises:
        DataError: files are missing, damaged, or not of ICT-FaceKit's light mesh.
    """
    if source.is_dir():
        read = _from_folder(source, n_identity)
    elif source.suffix == ".npz":
        read = _from_npz(source, n_identity)
    else:
        raise DataError(
            f"{source} is no ICT-FaceKit; expected its folder FaceXModel (from {_WHERE}), or an "
            ".npz of it."
        )
    sizes = (len(read.neutral), len(read.faces))
    if sizes != (_N_VERTICES, _N_FACES):
        raise DataError(
            f"{source} has a mesh of {sizes[0]} vertices and {sizes[1]} faces; expected "
            f"ICT-FaceKit's light mesh of {_N_VERTICES} and {_N_FACES}, from {_WHERE}."
        )
    return read


def _from_npz(file: Path, n_identity: int) -> IctFiles:
    try:
        with np.load(file, allow_pickle=False) as found:
            return IctFiles(
                found["neutral"].astype(np.float32),
                found["uv"].astype(np.float32),
                found["faces_quad"].astype(np.int32),
                found["faces_uv_quad"].astype(np.int32),
                found["identity_delta"][:n_identity].astype(np.float32),
                found["expression_delta"].astype(np.float32),
                tuple(str(name) for name in found["expression_names"]),
            )
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{file} is no .npz of ICT-FaceKit: {error}.") from error


def _from_folder(folder: Path, n_identity: int) -> IctFiles:
    if (folder / "FaceXModel").is_dir():
        folder = folder / "FaceXModel"
    files = {re.sub(r"\.obj(\.gz)?$", "", f.name): f for f in sorted(folder.glob("*.obj*"))}
    if _NEUTRAL not in files:
        raise DataError(
            f"{folder} has no {_NEUTRAL}.obj; expected the folder FaceXModel of {_WHERE}."
        )
    neutral, uv, faces, uv_faces = _read_neutral(files.pop(_NEUTRAL))
    people = [name for name in files if re.fullmatch(r"identity\d+", name)][:n_identity]
    moves = [name for name in files if not name.startswith("identity")]
    if not people or not moves:
        raise DataError(
            f"{folder} has {len(people)} identityNNN.obj and {len(moves)} expressions; expected "
            f"one or more of each, from {_WHERE}."
        )

    def modes(names: list[str]) -> Floats:
        made = np.empty((len(names), len(neutral), 3), dtype=np.float32)
        for row, name in enumerate(names):
            made[row] = _read_vertices(files[name], len(neutral)) - neutral
        return made

    return IctFiles(neutral, uv, faces, uv_faces, modes(people), modes(moves), tuple(moves))


def _lines(file: Path) -> list[bytes]:
    try:
        packed = file.read_bytes()
        return (gzip.decompress(packed) if file.suffix == ".gz" else packed).split(b"\n")
    except (OSError, EOFError) as error:
        raise DataError(f"cannot read {file}: {error}.") from error


def _numbers(lines: list[bytes], start: bytes, width: int, file: Path) -> Floats:
    """The numbers behind `start` in all lines that begin with it, (n, width)."""
    rows = b" ".join(line[len(start) :] for line in lines if line.startswith(start)).split()
    try:
        flat = np.array(rows, dtype=np.float32)
        return flat.reshape(-1, width)
    except ValueError as error:
        raise DataError(f"{file} has an odd line among those of {start.decode()!r}.") from error


def _read_vertices(file: Path, expected: int) -> Floats:
    found = _numbers(_lines(file), b"v ", 3, file)
    if len(found) != expected:
        raise DataError(f"{file} has {len(found)} vertices, expected {expected} as in {_NEUTRAL}.")
    return found


def _read_neutral(file: Path) -> tuple[Floats, Floats, Ints, Ints]:
    """Vertices, texture coordinates, and faces into both, from 0, -1 for no fourth corner."""
    lines = _lines(file)
    faces = np.full((2, sum(line.startswith(b"f ") for line in lines), 4), -1, dtype=np.int32)
    row = 0
    for line in lines:
        if line.startswith(b"f "):
            corners = [corner.split(b"/") for corner in line.split()[1:]]
            if len(corners) not in (3, 4) or any(len(corner) < 2 for corner in corners):
                raise DataError(
                    f"{file}: face {line.decode(errors='replace')!r}; expected three or four "
                    "corners with texture coordinates, such as 'f 1/1 2/2 3/3'."
                )
            faces[:, row, : len(corners)] = np.array(corners, dtype=np.int32)[:, :2].T - 1
            row += 1
    return _numbers(lines, b"v ", 3, file), _numbers(lines, b"vt ", 2, file), faces[0], faces[1]
