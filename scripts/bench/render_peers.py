"""The other sides of render.py: embreex, moderngl and pyrender draw the same scene."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

Draw = Callable[[], object]
Scene = Any  # of render.py
SIZE, SIDE = 256, 512  # of a picture and of its texture, pixels


def embreex(scene: Scene) -> dict[str, Draw]:
    """Return rays through all pixels' centres: triangle and place of the nearest hit."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    def tree(vertices: Any) -> Any:
        made = EmbreeScene()
        TriangleMesh(made, vertices[scene.model.triangles].astype(np.float32))
        return made

    kept = tree(scene.shapes[0])

    def cast(new_shape: bool) -> object:
        vertices, view = scene.next()
        made = tree(vertices) if new_shape else kept
        y, x = np.indices(view.size).reshape(2, -1) + 0.5
        ahead = np.stack([x - view.centre_px[0], y - view.centre_px[1]], 1) / view.focal_px
        rays = np.concatenate([ahead, np.ones((len(x), 1))], 1) * [1.0, -1.0, -1.0]
        rays = (rays @ view.rotation).astype(np.float32)
        start = (-view.translation * [1.0, -1.0, -1.0]) @ view.rotation
        starts = np.broadcast_to(start.astype(np.float32), rays.shape).copy()
        return made.run(starts, rays, output=1)

    return {"raster, new shape": lambda: cast(True), "raster, same shape": lambda: cast(False)}


def moderngl(scene: Scene) -> dict[str, Draw]:
    """Return textured, lit pictures drawn through EGL."""
    import moderngl as gl

    from fewskin.functional.mesh import vertex_normals

    context = gl.create_standalone_context(backend="egl")
    program = context.program(vertex_shader=VERTEX, fragment_shader=FRAGMENT)
    texture = context.texture((SIDE, SIDE), 3, scene.texture[::-1].tobytes(), dtype="f4")
    texture.use()
    model = scene.model
    corners, places = model.triangles[scene.only].ravel(), model.uv_triangles[scene.only].ravel()
    buffer = context.buffer(reserve=len(corners) * 32)
    array = context.vertex_array(program, [(buffer, "3f 3f 2f", "place", "normal", "uv")])
    plain = context.simple_framebuffer((SIZE, SIZE), 3, dtype="f4")
    many = context.framebuffer(
        [context.renderbuffer((SIZE, SIZE), 3, samples=4, dtype="f4")],
        context.depth_renderbuffer((SIZE, SIZE), samples=4),
    )

    def draw(samples: int) -> object:
        vertices, view = scene.next()
        normals = vertex_normals(vertices, model.triangles) @ view.rotation.T
        seen = view.to_camera(vertices)
        rows = np.concatenate([seen[corners], normals[corners], model.uv[places]], 1)
        buffer.write(rows.astype(np.float32).tobytes())
        program["scale"] = 2 * view.focal_px / SIZE
        target = many if samples > 1 else plain
        target.use()
        context.enable(gl.DEPTH_TEST)
        target.clear()
        array.render()
        if samples > 1:
            context.copy_framebuffer(plain, many)
        return np.frombuffer(plain.read(components=3, dtype="f4"), np.float32)

    return {"face 1": lambda: draw(1), "face 2x2": lambda: draw(4)}


VERTEX = """
#version 330
uniform float scale;
in vec3 place; in vec3 normal; in vec2 uv;
out vec3 turned; out vec2 where;
void main() {
    gl_Position = vec4(place.xy * vec2(scale, -scale), (place.z - 1.0) * 1.01 - 1.0, place.z);
    turned = normal; where = uv;
}
"""
FRAGMENT = """
#version 330
uniform sampler2D skin;
in vec3 turned; in vec2 where;
out vec3 colour;
void main() {
    float lamp = dot(normalize(turned), normalize(vec3(-0.5, 0.6, 1.0)));
    colour = texture(skin, where).rgb * (0.5 + 0.6 * max(lamp, 0.0));
}
"""


def pyrender(scene: Scene) -> dict[str, Draw]:
    """Return textured, lit pictures of pyrender."""
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    vars(np).setdefault("infty", np.inf)  # pyrender 0.1.45 predates numpy 2
    import pyrender as py
    import trimesh
    from PIL import Image

    model = scene.model
    triangles, places = model.triangles[scene.only], model.uv_triangles[scene.only]
    skin = Image.fromarray((scene.texture * 255).astype(np.uint8))
    corners, uv = triangles.ravel(), model.uv[places.ravel()]
    faces = np.arange(len(corners)).reshape(-1, 3)
    renderer = py.OffscreenRenderer(SIZE, SIZE)

    def draw() -> object:
        vertices, view = scene.next()
        visual = trimesh.visual.TextureVisuals(uv=uv, image=skin)
        mesh = trimesh.Trimesh(vertices[corners], faces, visual=visual, process=False)
        made = py.Scene(ambient_light=[0.5] * 3)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = view.rotation, view.translation * [1.0, -1.0, -1.0]
        made.add(py.Mesh.from_trimesh(mesh), pose=pose)
        made.add(py.DirectionalLight(intensity=2.0))
        focal, (x, y) = view.focal_px, view.centre_px
        made.add(py.IntrinsicsCamera(focal, focal, x, y))
        return renderer.render(made)

    return {"face 1": draw}
