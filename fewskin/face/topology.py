"""The 468 landmarks of MediaPipe's face mesh as a mesh: triangles, regions, rings, a mean face.

The arrays come from `assets/face/landmark_topology.npz`, made by
`scripts/make_landmark_topology.py`; mediapipe itself is not needed. Numbers of landmarks are those
of mediapipe's `face_mesh_connections.py` (Apache-2.0, mediapipe 0.10.14); left and right are the
subject's.
"""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fewskin.errors import StageError
from fewskin.paths import assets_dir

__all__ = [
    "CHIN",
    "FACE_OVAL",
    "FOREHEAD",
    "LEFT_BROW",
    "LEFT_EYE",
    "LEFT_EYE_CORNERS",
    "LIPS_INNER",
    "LIPS_OUTER",
    "NOSE_TIP",
    "N_IRIS_POINTS",
    "N_LANDMARKS",
    "RIGHT_BROW",
    "RIGHT_EYE",
    "RIGHT_EYE_CORNERS",
    "Topology",
    "topology",
]

N_LANDMARKS = 468
N_IRIS_POINTS = 10  # right then left: the centre and four points of each rim

FOREHEAD, CHIN, NOSE_TIP = 10, 152, 4
RIGHT_EYE_CORNERS = (33, 133)  # outer, inner
LEFT_EYE_CORNERS = (263, 362)

# Closed rings. Eyes: from the outer corner along the upper lid, back along the lower.
RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_EYE = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
# Lips: from the right corner along the upper lip, back along the lower.
LIPS_OUTER = (
    *(61, 185, 40, 39, 37, 0, 267, 269, 270, 409),
    *(291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
)
LIPS_INNER = (
    *(78, 191, 80, 81, 82, 13, 312, 311, 310, 415),
    *(308, 324, 318, 402, 317, 14, 87, 178, 88, 95),
)
# From the forehead down the subject's left cheek to the chin (152), up the right.
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
# Both edges of a brow, from the side towards the nose: upper, then lower.
RIGHT_BROW = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55)
LEFT_BROW = (300, 293, 334, 296, 336, 276, 283, 282, 295, 285)


@dataclass(frozen=True, eq=False)
class Topology:
    """The mesh of the landmarks; every array is read-only.

    Attributes:
        triangles: (898, 3) int32, counter-clockwise seen from outside: 852 of skin and lips, then
            28 over the eyes and 18 over the mouth.
        region: (898,) uint8, position in `fewskin.face.model.REGIONS`.
        uv: (468, 2) float32 in [0, 1], v up, mirrored left to right about u = 0.5, no triangle
            turned or empty: the mean face unrolled from an upright cylinder.
        mirror: (468,) int32, the landmark on the other side.
        mirror_irises: (10,) int32, the same for the points of the irises.
        mean: (468, 3) float32, a mean symmetrical face, model axes, cm, pupils 6.3 cm apart.
        mean_irises: (10, 3) float32 of the same face.
    """

    triangles: npt.NDArray[np.int32]
    region: npt.NDArray[np.uint8]
    uv: npt.NDArray[np.float32]
    mirror: npt.NDArray[np.int32]
    mirror_irises: npt.NDArray[np.int32]
    mean: npt.NDArray[np.float32]
    mean_irises: npt.NDArray[np.float32]


@functools.cache
def topology() -> Topology:
    """Return the mesh of the landmarks.

    Raises:
        StageError: the asset is missing or damaged.

    Example:
        >>> mesh = topology()
        >>> mesh.triangles.shape, int(mesh.mirror[RIGHT_EYE_CORNERS[0]])
        ((898, 3), 263)
    """
    file = assets_dir() / "face" / "landmark_topology.npz"
    try:
        with np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        made = Topology(
            triangles=arrays["triangles"].astype(np.int32),
            region=arrays["region"],
            uv=arrays["uv"],
            mirror=arrays["mirror"][:N_LANDMARKS].astype(np.int32),
            mirror_irises=arrays["mirror"][N_LANDMARKS:].astype(np.int32) - N_LANDMARKS,
            mean=arrays["mean"][:N_LANDMARKS],
            mean_irises=arrays["mean"][N_LANDMARKS:],
        )
    except (OSError, KeyError, ValueError) as error:
        raise StageError(
            f"cannot read {file}: {error}. Reinstall fewskin, or restore it from the repository."
        ) from error
    for array in vars(made).values():
        array.setflags(write=False)
    return made
