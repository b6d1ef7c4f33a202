"""Which part of a photograph turns with the head, and what is behind it.

Face, hair, ears and neck are one layer, with soft borders; clothes and background are the other.
They are told apart on a small copy by colour and by the way there: a pixel is of the layer that it
is reached from most cheaply, where a step costs what the colours differ and what the layer's own
colours say against the pixel. After Bai and Sapiro, "A geodesic framework for fast interactive
image and video segmentation and matting", ICCV 2007. Differs from the paper: the strokes are the
fitted face, a skull above it, the skin below its jaw, and the picture's border. The borders are
then fitted to the photograph's own edges (He et al., "Guided image filtering", ECCV 2010).

Where the picture's border has no colour that differs from the hair, all is head.
"""

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fewskin.face.model import FaceModel
from fewskin.face.topology import FACE_OVAL
from fewskin.functional.pose import View
from fewskin.functional.pyramid import push_pull
from fewskin.functional.raster import Kernel, zbuffer

__all__ = ["PARTS", "Frame", "HeadLayers", "frame_of", "split"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.floating]

PARTS: Final = ("face", "lips", "eyes", "mouth")  # drawn as mesh; the rest is the sheet's
_COARSE: Final = 104  # pixels along the longer side on which layers are told apart
_FILL: Final = 144  # and on which what is behind is made up
_TRACE: Final = np.float32(1e-5)  # weight of the head in what is behind it
_FINE: Final = 256  # and on which their borders are fitted
_SHOWS: Final = 0.06  # opacity of the head from which what is behind it is made up
_BINS: Final = 10  # of a colour's histogram, each channel
_CHIN, _TOP, _SIDES = 152, 10, (234, 454)


class HeadLayers(NamedTuple):
    """The two layers of a photograph.

    Attributes:
        head: (h, w, 3) linear RGB of the head, without what shines through its borders.
        opacity: (h, w) in [0, 1], of the head.
        rest: (h, w, 3) linear RGB of what is behind it, made up where the head hides it.
    """

    head: Floats
    opacity: Floats
    rest: Floats


class Frame(NamedTuple):
    """Where the face is in a picture: cm from the chin, and the line of the jaw.

    Attributes:
        chin, right, down: (2,) pixels; the last two are a cm long.
        jaw: (n, 2) cm right of the chin, rising, and below it.
        height: cm from the chin to the top of the forehead.
    """

    chin: Array
    right: Array
    down: Array
    jaw: Array
    height: float

    def places(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return cm right of and below the chin."""
        basis = np.linalg.inv(np.stack([self.right, self.down], 1))
        dx, dy = x - self.chin[0], y - self.chin[1]
        return basis[0, 0] * dx + basis[0, 1] * dy, basis[1, 0] * dx + basis[1, 1] * dy

    def under_jaw(self, right: Array, below: Array) -> Array:
        """Return cm below the line of the jaw."""
        return np.asarray(below - np.interp(right, self.jaw[:, 0], self.jaw[:, 1]))


def frame_of(model: FaceModel, vertices: Floats, view: View) -> Frame:
    """Return where the face is in a picture."""
    seen = view.project(model.landmarks(vertices))
    chin, top = seen[_CHIN, :2], seen[_TOP, :2]
    cm = view.focal_px / float(np.nanmedian(seen[:, 2]))
    down = (chin - top) / max(float(np.linalg.norm(chin - top)), 1e-6) * cm
    right = np.array([down[1], -down[0]])
    frame = Frame(chin, right, down, np.zeros((1, 2)), float(np.linalg.norm(chin - top)) / cm)
    oval = seen[[k for k in FACE_OVAL if np.isfinite(seen[k, 0])]]
    across, below = frame.places(oval[:, 0], oval[:, 1])
    ends = [seen[k, :2] for k in _SIDES]
    height = np.mean([frame.places(*end)[1] for end in ends])
    lower = below > height
    order = np.argsort(across[lower])
    return frame._replace(jaw=np.stack([across[lower][order], below[lower][order]], 1))


def split(
    image: Floats,
    skin: Floats,
    model: FaceModel,
    vertices: Floats,
    view: View,
    *,
    kernel: Kernel = "auto",
) -> HeadLayers:
    """Return the layers of a photograph.

    Args:
        image: (H, W, 3) linear RGB.
        skin: (H, W) in [0, 1], likelihood of bare skin.
        model: face model.
        vertices: (V, 3) of the person, cm.
        view: of the photograph.
        kernel: of `functional.raster`.
    """
    fine = _small(np.concatenate([image, skin[..., None]], -1), _FINE)
    coarse = fine.copy()
    coarse[..., :3] = np.sqrt(np.maximum(coarse[..., :3], 0.0))
    grey = coarse[..., :3].mean(-1)
    coarse = _small(coarse, _COARSE)
    guess = _geodesic(coarse, model, vertices, view, kernel)
    opacity = _rimmed(_fitted(_resized(guess, grey.shape), grey))
    fine[..., 3] = opacity
    made_up = _behind(_small(fine, _FILL))
    size = (image.shape[0], image.shape[1])
    cover = _resized(opacity, size)[..., None]
    return _unmixed(image, cover, _resized(made_up, size))


def _unmixed(image: Floats, cover: Floats, rest: Floats) -> HeadLayers:
    """Return layers that give the picture again: head over rest."""
    made = rest - image
    made *= np.minimum(cover * np.float32(1.0 / _SHOWS), 1.0)
    made += image
    clear = np.float32(1.0) - cover
    head = np.clip((image - clear * made) / np.maximum(cover, np.float32(0.05)), 0.0, 1.0)
    # Where the head's colour had to be clipped, what is behind it makes up for the difference.
    behind = np.clip((image - cover * head) / np.maximum(clear, np.float32(0.05)), 0.0, 1.0)
    rest = np.where(cover < 0.95, behind, made)
    return HeadLayers(head.astype(np.float32), cover[..., 0], rest.astype(np.float32))


def _small(image: Floats, side: int) -> Floats:
    factor = side / max(image.shape[:2])
    if factor >= 1.0:
        return image
    size = (max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor)))
    return _resized(image, size)


def _resized(image: Floats, size: tuple[int, int]) -> Floats:
    from PIL import Image

    planes = image[..., None] if image.ndim == 2 else image
    made = np.empty((*size, planes.shape[2]), np.float32)
    for k in range(planes.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(planes[..., k], np.float32))
        made[..., k] = np.asarray(plane.resize(size[::-1], Image.Resampling.BILINEAR))
    return made[..., 0] if image.ndim == 2 else made


def _geodesic(
    picture: Floats, model: FaceModel, vertices: Floats, view: View, kernel: Kernel
) -> Floats:
    """Return (h, w) in [0, 1], the share of the head."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    size = picture.shape[:2]
    view = replace(view.scaled(size[0] / view.size[0]), size=size)
    only = model.in_region(*PARTS)
    found, _ = zbuffer(view.project(vertices), model.triangles, size, kernel=kernel, only=only)
    face = found >= 0
    frame = frame_of(model, vertices, view)
    y, x = np.indices(size) + 0.5
    right, below = frame.places(x, y)
    under = frame.under_jaw(right, below)
    cm = float(np.linalg.norm(frame.down))
    skull = _skull(right, below, frame, 0.85)
    away = distance_transform_edt(~(face | skull)) / cm
    colour, skin = picture[..., :3], picture[..., 3]
    hair = _hair(colour, skin, face, away, right, below)
    head = binary_erosion(face, border_value=1) | _skull(right, below, frame, 0.78)
    head |= (away < 1.2) & (below < -4.0) & (hair > 0.5) & (skin < 0.4)
    own = _histogram(colour, head)
    inside = (right > frame.jaw[0, 0] + 0.5) & (right < frame.jaw[-1, 0] - 0.5)
    neck = inside & (under > 0.3) & (under < 7.0) & (skin > 0.2) & (hair < 0.5) & ~face
    border = np.ones(size, bool)
    border[2:, 2:-2] = False
    foreign = (hair < 0.2) & ((own < 2e-3) | (below < -6.0))
    far = np.hypot(right, below + 9.0) > 17.0
    border &= (below < 3.0) & (away > 1.5) & ~_skull(right, below, frame, 1.5)
    rest = border & (foreign | far) & (below < -6.0)
    rest |= border & foreign & (_histogram(colour, rest) > 2e-3)
    rest |= (below > 6.0) & (abs(right) < 5.0) & foreign
    head |= neck
    rest[-2:] |= (below[-2:] > 1.5) & foreign[-2:] & (abs(right[-2:]) > 4.0)
    rest &= ~head
    if not rest.any():
        return np.ones(size, np.float32)
    odds = np.log((own + 3e-4) / (_histogram(colour, rest) + 3e-4))
    odds += np.clip(1.5 - 0.4 * away, -2.0, 1.5)
    odds -= 0.3 * np.clip(below, 0.0, 6.0)
    odds += 1.5 * np.clip(under, 0.0, 1.0) * (abs(right) < 8.0) * (skin > 0.2)
    share = 1.0 / (1.0 + np.exp(-odds))
    to_head, to_rest = _reach(colour, share, head, rest, cm)
    ratio = to_rest / np.maximum(to_head + to_rest, 1e-6)
    return np.clip((ratio - 0.44) / 0.16 + 0.5, 0.0, 1.0).astype(np.float32)


def _skull(right: Array, below: Array, frame: Frame, scale: float) -> Mask:
    """Return (h, w) inside the skull's outline, `scale` times as large."""
    width = 0.5 * (frame.jaw[-1, 0] - frame.jaw[0, 0])
    middle = 0.5 * (frame.jaw[-1, 0] + frame.jaw[0, 0])
    x, y = (right - middle) / width, (below + 0.75 * frame.height) / (0.53 * frame.height)
    return np.asarray((x * x + y * y < scale * scale) & (below < -0.6 * frame.height))


def _hair(
    colour: Floats, skin: Floats, face: Mask, away: Array, right: Array, below: Array
) -> Floats:
    """Return (h, w) likeness to what is above the forehead, if that is no skin."""
    top = below[face].min()
    band = (away > 0.3) & (away < 2.2) & (abs(right) < 4.5) & (below < top + 1.5) & (skin < 0.35)
    if band.sum() < 6:
        return np.zeros(face.shape, np.float32)
    centre = np.median(colour[band], axis=0)
    off = colour - centre
    shade = off.mean(-1)
    hue = off - shade[..., None]
    return np.exp(-0.5 * ((shade / 0.10) ** 2 + (hue**2).sum(-1) / 0.05**2)).astype(np.float32)


def _histogram(colour: Floats, where: Mask) -> Array:
    """Return (h, w) how often the colour of each pixel is there, relative."""
    from scipy.ndimage import gaussian_filter

    place = np.clip(colour * _BINS, 0, _BINS - 1).astype(int)
    number = (place[..., 0] * _BINS + place[..., 1]) * _BINS + place[..., 2]
    counts = np.bincount(number[where], minlength=_BINS**3).astype(float)
    even = gaussian_filter(counts.reshape(_BINS, _BINS, _BINS), 0.7)
    return np.asarray((even / max(counts.sum(), 1.0)).ravel()[number])


def _reach(colour: Floats, share: Array, head: Mask, rest: Mask, cm: float) -> tuple[Array, Array]:
    """Return (h, w) least cost of the way from the head, and from the rest."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    height, width = share.shape
    number = np.arange(height * width).reshape(height, width)
    first = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    second = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    flat = colour.reshape(-1, 3)
    step = 0.03 + 3.0 * np.linalg.norm(flat[first] - flat[second], axis=1)
    made = []
    for against, seeds in ((1.0 - share, head), (share, rest)):
        against = against.ravel() ** 2
        cost = (step + 0.5 * (against[first] + against[second])) / cm
        source = np.flatnonzero(seeds)
        n = len(flat)
        rows = np.concatenate([first, np.full(len(source), n)])
        columns = np.concatenate([second, source])
        costs = np.concatenate([cost, np.full(len(source), 1e-6)])
        graph = coo_matrix((costs, (rows, columns)), shape=(n + 1, n + 1)).tocsr()
        found = dijkstra(graph, directed=False, indices=n)
        made.append(found[:n].reshape(height, width))
    return made[0], made[1]


def _fitted(opacity: Floats, grey: Floats) -> Floats:
    """Return (h, w) opacity whose borders follow the edges of a picture."""
    from scipy.ndimage import uniform_filter

    def mean(values: Floats) -> Floats:
        return np.asarray(uniform_filter(values, 7))

    centre, target = mean(grey), mean(opacity)
    slope = (mean(grey * opacity) - centre * target) / (mean(grey * grey) - centre**2 + 4e-4)
    made = mean(slope) * grey + mean(target - slope * centre)
    return np.clip((made - 0.5) * 1.2 + 0.5, 0.0, 1.0).astype(np.float32)


def _rimmed(opacity: Floats) -> Floats:
    """Return (h, w) opacity with a rim, so that no outline of the head is left behind it."""
    from scipy.ndimage import maximum_filter, uniform_filter

    return np.asarray(uniform_filter(maximum_filter(opacity, 5), 3), np.float32)


def _behind(small: Floats) -> Floats:
    """Return (h, w, 3) of (h, w, 4) colour and opacity without the head: the rest is continued."""
    from scipy.ndimage import maximum_filter

    hidden = maximum_filter(small[..., 3], 3) * np.float32(6.0)
    # A trace everywhere: where the head fills the picture nothing else is known.
    weight = np.clip(np.float32(1.0) - hidden, _TRACE, 1.0)
    filled = push_pull(np.moveaxis(small[..., :3], -1, 0), weight)
    return np.ascontiguousarray(np.moveaxis(filled, 0, -1))
