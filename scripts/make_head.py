#!/usr/bin/env python
"""Make assets/face/analytic_head.npz, our own head.

    python scripts/make_head.py

Deterministic, some seconds; needs assets/face/landmark_topology.npz and nothing else.
"""

import argparse
from pathlib import Path

from fewskin.face.analytic import make_head
from fewskin.face.model import save_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("assets/face/analytic_head.npz"))
    options = parser.parse_args()
    model = make_head()
    save_model(model, options.out)
    print(
        options.out,
        f"{options.out.stat().st_size / 1e3:.0f} kB, {len(model.vertices)} vertices,",
        f"{len(model.triangles)} triangles, {len(model.identity)} + {len(model.expression)} modes",
    )


if __name__ == "__main__":
    main()
