"""Turn a copy of ICT-FaceKit into a face model that `model=` takes."""

from pathlib import Path

from fewskin.provenance import DEFAULT_OUT, stage

__all__ = ["face_import_ict"]


@stage(version=1, inputs=("path",))
def face_import_ict(path: Path, *, n_identity: int = 100, out: Path = DEFAULT_OUT) -> None:
    """Turn a copy of ICT-FaceKit (MIT) into a face model: `model.npz` in the result folder.

    Args:
        path: its FaceXModel folder of .obj files, or one .npz of the same arrays.
        n_identity: identity modes that are kept, at most.
    """
    from fewskin.face.ict import import_ict

    import_ict(path, out / "model.npz", n_identity=n_identity)
