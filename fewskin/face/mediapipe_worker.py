"""A process that finds faces with mediapipe: `python -m fewskin.face.mediapipe_worker [FILE.task]`.

A process of its own, because mediapipe needs an old protobuf, holds its own threads and may abort.
Both directions speak one line of JSON and then raw little-endian bytes; nothing is unpickled. A
request is `{"height": H, "width": W}` and H * W * 3 bytes of RGB; an answer `{"scores": [...],
"n_points": N}` and for each face (N, 3) float32, or `{"error": text}`. The first answer, before any
request, is `{"ready": version}` or `{"missing": text}`. The process ends with its standard input.

Model: Grishchenko et al., "Attention Mesh", 2020, https://arxiv.org/abs/2006.10962; detector:
Bazarevsky et al., "BlazeFace", 2019, https://arxiv.org/abs/1907.05047; both inside the package.
With a .task file, mediapipe's FaceLandmarker runs the models in it.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from fewskin.face.topology import topology

__all__ = ["FINDER", "Face", "Finder", "Looker", "main", "solution", "task"]

FINDER = "1"  # part of the key of cached landmarks: raise it where the finder changes
_GRAPH = "mediapipe/modules/face_landmark/face_landmark_front_cpu.binarypb"
_DETECTOR = "facedetectionshortrangecpu__facedetectionshortrange__facedetection"
_SEARCH_PX = 640  # longer side of a picture or part of it while it is searched
_CROP_PX, _CROP_FACES = 384, (1.8, 2.6)  # a found face is looked at again; in face sides
# How far the mirror image may disagree, in face sides: at most 0.04 in 111 faces, turned, small or
# with bars over the eyes; at least 0.065 where a detector sees faces in skin lesions.
_AGREE = 0.05
_MIN_SIDE_PX = 16
_SMALLEST_SEEN = 0.15  # of a looked-at part's side: smaller faces may be missed (measured)
_SMALLEST_PX = 40.0  # faces below this need not be found
_SAME = 0.3  # overlap from which two findings are one face

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, eq=False)
class Face:
    """A face: points (478 or 468, 3) float32 in the picture's pixels, and the finder's score."""

    points: Points
    score: float

    @property
    def box(self) -> Box:
        """The bounding box of the points, pixels."""
        (left, top), (right, bottom) = self.points[:, :2].min(0), self.points[:, :2].max(0)
        return float(left), float(top), float(right), float(bottom)


Looker = Callable[[Pixels], list[tuple[npt.NDArray[np.float64], float]]]


def solution(max_faces: int = 4, min_score: float = 0.5) -> Looker:
    """Return a function from pixels to points in [0, 1] and score of each face, mediapipe 0.10."""
    from mediapipe.python.solution_base import SolutionBase  # an extra, in this process only

    graph = SolutionBase(
        binary_graph_path=_GRAPH,
        side_inputs={"num_faces": max_faces, "with_attention": True, "use_prev_landmarks": False},
        calculator_params={
            f"{_DETECTOR}__TensorsToDetectionsCalculator.min_score_thresh": min_score,
            "facelandmarkcpu__ThresholdingCalculator.threshold": min_score,
        },
        outputs=["multi_face_landmarks", "face_detections"],
    )

    def look(pixels: Pixels) -> list[tuple[npt.NDArray[np.float64], float]]:
        seen = graph.process({"image": pixels})
        faces = [_as_array(face.landmark) for face in seen.multi_face_landmarks or []]
        return [(points, _score(points, seen.face_detections or [])) for points in faces]

    return look


def task(file: str, max_faces: int = 4) -> Looker:
    """Return the same with the models in a .task file, which give no score: NaN."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=file), num_faces=max_faces
    )
    landmarker = vision.FaceLandmarker.create_from_options(options)

    def look(pixels: Pixels) -> list[tuple[npt.NDArray[np.float64], float]]:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        seen = landmarker.detect(image).face_landmarks
        return [(_as_array(face), float("nan")) for face in seen]

    return look


class Finder:
    """Finds faces: searches the whole picture, then parts and borders, then looks closer.

    Args:
        look: finds the faces in some pixels, see `solution`.
        closer: look again at a crop of each face and at its mirror image; take their mean, and drop
            the face if they disagree.
    """

    def __init__(self, look: Looker, *, closer: bool = True) -> None:
        self._in_pixels, self._closer = look, closer

    def find(self, image: Pixels) -> list[Face]:
        """Return the faces in (H, W, 3) uint8, the largest first."""
        picture, found = Image.fromarray(image), list[Face]()
        if min(image.shape[:2]) < _MIN_SIDE_PX:
            return found
        for boxes in _searches(image.shape[1], image.shape[0]):
            for box in boxes:
                found = _merged(found, self._look(picture, box, _SEARCH_PX))
            if found:
                break
        if self._closer:
            closer = [self._look_closer(picture, face) for face in found]
            found = _merged([], [face for face in closer if face])
        return sorted(found, key=lambda face: _area(face.box), reverse=True)

    def _look(
        self, picture: Image.Image, box: Box, longest: int, *, flip: bool = False
    ) -> list[Face]:
        """Return the faces in a part of the picture, in pixels of the whole."""
        part = _part(picture, box, longest)
        pixels = np.ascontiguousarray(part.pixels[:, ::-1]) if flip else part.pixels
        size, made = np.array(pixels.shape[1::-1]), []
        for points, score in self._in_pixels(pixels):
            points = points * [*size, size[0]]
            # mediapipe counts from the middle of the first pixel: mirrored and shrunk copies of
            # 30 faces agree to 0.05 pixels with this half, and are a half off without it.
            points[:, :2] += 0.5
            if flip:
                points[:, 0] = size[0] - points[:, 0]
            points[:, :2] = (points[:, :2] - part.corner) / part.scale + part.start
            points[:, 2] /= part.scale[0]
            made.append(Face(points.astype(np.float32), score))
        return made

    def _look_closer(self, picture: Image.Image, face: Face) -> Face | None:
        """Return the mean of a crop and its mirror image; None where they show no one face."""
        for sides in _CROP_FACES:
            seen = [self._in_crop(picture, face, sides, flip) for flip in (False, True)]
            points = [found for found in seen if found is not None]
            if len(points) < 2:
                continue
            apart = np.sqrt(((points[0] - points[1])[:, :2] ** 2).sum(1).mean())
            if apart <= _AGREE * np.ptp(points[0][:, :2], axis=0).max():
                return Face(((points[0] + points[1]) / 2).astype(np.float32), face.score)
        return None

    def _in_crop(self, picture: Image.Image, face: Face, sides: float, flip: bool) -> Points | None:
        left, top, right, bottom = face.box
        half = max(right - left, bottom - top, 1.0) * sides / 2
        x, y = (left + right) / 2, (top + bottom) / 2
        box = (x - half, y - half, x + half, y + half)
        for found in self._look(picture, box, _CROP_PX, flip=flip):
            if _overlap(found.box, face.box) > _SAME:
                return found.points[_mirrored(len(found.points))] if flip else found.points
        return None


def _mirrored(n_points: int) -> npt.NDArray[np.intp]:
    mesh = topology()
    order = np.concatenate([mesh.mirror, mesh.mirror_irises + len(mesh.mirror)])
    return np.asarray(order[:n_points], dtype=np.intp)


def _searches(width: int, height: int) -> Iterator[list[Box]]:
    """Yield where to look, until something is found: whole, with borders, halves, thirds."""
    yield [(0.0, 0.0, float(width), float(height))]
    for border in (0.5, 1.0):
        x, y = width * border, height * border
        yield [(-x, -y, width + x, height + y)]
    side = float(max(width, height))
    for parts in (2, 3, 5):
        if side * _SMALLEST_SEEN < _SMALLEST_PX:
            return  # the look before would have seen any face that is large enough to name
        side = max(width, height) / parts
        yield [
            (x, y, x + side, y + side) for y in _starts(height, side) for x in _starts(width, side)
        ]


def _starts(length: int, side: float) -> list[float]:
    """Return where windows start that cover a length and overlap by half."""
    if side >= length:
        return [(length - side) / 2]
    n = int(np.ceil((length - side) / (side / 2)))
    return [float(start) for start in np.linspace(0.0, length - side, n + 1)]


@dataclass(frozen=True, eq=False)
class _Part:
    """A resized part of a picture: pixel = (point - start) * scale + corner."""

    pixels: Pixels
    start: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    corner: npt.NDArray[np.float64]


def _part(picture: Image.Image, box: Box, longest: int) -> _Part:
    """Return a part of a picture, `longest` pixels long, with grey where the box leaves it."""
    left, top, right, bottom = box
    scale = longest / max(right - left, bottom - top)
    inner = (max(left, 0.0), max(top, 0.0), min(right, picture.width), min(bottom, picture.height))
    corner = (round((inner[0] - left) * scale), round((inner[1] - top) * scale))
    wide, high = inner[2] - inner[0], inner[3] - inner[1]
    area = (max(1, round(wide * scale)), max(1, round(high * scale)))
    shown = picture.resize(area, Image.Resampling.BILINEAR, box=inner, reducing_gap=2.0)
    size = (round((right - left) * scale), round((bottom - top) * scale))
    canvas = Image.new("RGB", (max(size[0], 1), max(size[1], 1)), (128, 128, 128))
    canvas.paste(shown, corner)
    return _Part(
        np.asarray(canvas),
        np.array(inner[:2]),
        np.array([area[0] / wide, area[1] / high]),
        np.array(corner, dtype=np.float64),
    )


def _as_array(marks: Iterable[Any]) -> npt.NDArray[np.float64]:
    return np.array([(mark.x, mark.y, mark.z) for mark in marks])


def _score(points: npt.NDArray[np.float64], detections: Iterable[Any]) -> float:
    """Return the best score of the detections whose middle is among the points, else 0."""
    (left, top), (right, bottom) = points[:, :2].min(0), points[:, :2].max(0)
    best = 0.0
    for found in detections:
        box = found.location_data.relative_bounding_box
        x, y = box.xmin + box.width / 2, box.ymin + box.height / 2
        if left <= x <= right and top <= y <= bottom:
            best = max(best, float(found.score[0]))
    return best


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _overlap(a: Box, b: Box) -> float:
    """Return intersection over union."""
    both = _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    union = _area(a) + _area(b) - both
    return both / union if union else 0.0


def _merged(faces: list[Face], more: list[Face]) -> list[Face]:
    """Return both lists, one entry for each face: the one with the higher score."""
    kept: list[Face] = []
    for face in sorted([*faces, *more], key=lambda face: face.score, reverse=True):
        if all(_overlap(face.box, other.box) <= _SAME for other in kept):
            kept.append(face)
    return kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve requests on standard input until it ends.

    Args:
        arguments: nothing, or the .task file.

    Returns:
        0, or 3 where mediapipe cannot be imported; the first answer then says why.
    """
    # Answers own the real standard output; what mediapipe prints goes to the log.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        import mediapipe

        files = sys.argv[1:] if arguments is None else arguments
        finder = Finder(task(files[0]) if files else solution())
    except Exception as error:  # an old protobuf raises TypeError, a missing library OSError
        _send(answers, {"missing": f"{type(error).__name__}: {error}"})
        return 3
    _send(answers, {"ready": str(getattr(mediapipe, "__version__", "unknown"))})
    for line in sys.stdin.buffer:
        _answer(answers, finder, _read(line, sys.stdin.buffer))
    return 0


def _read(line: bytes, stream: BinaryIO) -> Pixels:
    asked = json.loads(line)
    height, width = int(asked["height"]), int(asked["width"])
    raw = stream.read(height * width * 3)
    return np.frombuffer(raw, dtype=np.uint8).reshape(height, width, 3)


def _answer(stream: BinaryIO, finder: Finder, image: Pixels) -> None:
    try:
        faces = finder.find(image)
    except Exception as error:
        _send(stream, {"error": f"{type(error).__name__}: {error}"})
        return
    points = [face.points.astype("<f4").tobytes() for face in faces]
    n_points = len(faces[0].points) if faces else 0
    header = {"scores": [face.score for face in faces], "n_points": n_points}
    _send(stream, header, b"".join(points))


def _send(stream: BinaryIO, header: dict[str, Any], raw: bytes = b"") -> None:
    stream.write(json.dumps(header).encode() + b"\n" + raw)
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
