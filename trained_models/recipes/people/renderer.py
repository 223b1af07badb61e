"""Draws one person. Load a person, then ask for pictures of any moment."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trained_models.recipes.people import geometry
from trained_models.recipes.people.accessories import Worn
from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.cartoon import draw_cartoon
from trained_models.recipes.people.develop import Camera, Picture, develop
from trained_models.recipes.people.gpu import context, set_uniforms
from trained_models.recipes.people.gpu_scene import STEEPEST, GpuScene
from trained_models.recipes.people.look import Look
from trained_models.recipes.people.shape import Posed
from trained_models.recipes.people.surroundings import Light
from trained_models.recipes.people.topology import topology

SHADOW_SIZE = 768
NEAR, FAR = 0.5, 60.0  # dm
LOWER_LIP_AND_CHIN = np.array([496, 455, 494, 474])
EYE_TURN = (28.0, 32.0)  # degrees of gaze, up or down and sideways, at which the lids' own action is full
VERGENCE = 1.0  # degrees that each eye turns inwards

Sight = Callable[[Floats], tuple[Any, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What a picture shows.

    `actions` (52,): amplitudes in the topology's order, see `Calibration.drive`; `rot`: the head's pitch (+ down), yaw
    (+ to the viewer's right), roll in degrees; `gaze`: yaw (+ to the viewer's right) and pitch (+ up) in degrees,
    relative to the head. `view_deg`: vertical view; `sight`: from the face's place to the camera's place and target;
    `before`: a solid thing in the room.
    """

    actions: Floats
    rot: Any = (0.0, 0.0, 0.0)
    gaze: Any = (0.0, 0.0)
    view_deg: float = 16.0
    sight: Sight = lambda face: (face + np.array([0, 0.05, 9.0]), face + np.array([0, 0.05, 0]))  # from the front
    light: Light = field(default_factory=Light)
    before: Worn | None = None


def with_lids(actions: Floats, gaze: Any) -> Floats:
    """Actions plus what the lids do when the eyes turn."""
    out = np.array(actions, np.float32)
    index = topology().actions.index
    yaw, pitch = gaze
    for side in ("Left", "Right"):
        out[index("eyeLookUp" + side)] += max(pitch, 0) / EYE_TURN[0]
        out[index("eyeLookDown" + side)] += max(-pitch, 0) / EYE_TURN[0]
    aside = yaw / EYE_TURN[1]
    out[index("eyeLookOutLeft" if aside > 0 else "eyeLookInLeft")] += abs(aside)
    out[index("eyeLookInRight" if aside > 0 else "eyeLookOutRight")] += abs(aside)
    return out


class Renderer:
    """Pictures of `width` × `height`, drawn `oversampling` times larger each way. All share the process's context.
    Renderers of several sizes may share a `scene`, and draw the same person then."""

    def __init__(self, width: int, height: int, oversampling: int = 2, scene: GpuScene | None = None) -> None:
        self.size = (width, height)
        gl, drawn = context(), (width * oversampling, height * oversampling)
        self._drawn = drawn
        # Half floats: 8 bits would band in the dark parts.
        layers = [gl.texture(drawn, 4, dtype="f2") for _ in range(3)]
        self._depth = depth = gl.depth_texture(drawn)
        self._surfaces = (*layers, depth)
        self._target = gl.framebuffer(layers, depth)
        self._shadow = gl.depth_texture((SHADOW_SIZE, SHADOW_SIZE))
        self._shadow.compare_func = ""
        self._shadow.filter = (gl.NEAREST, gl.NEAREST)
        self._shadow_target = gl.framebuffer(depth_attachment=self._shadow)
        self.scene = scene or GpuScene()

    def close(self) -> None:
        """Free the drawing surfaces; the scene stays."""
        for thing in (self._target, self._shadow_target, self._shadow, *self._surfaces):
            thing.release()

    def picture(self, moment: Moment, background: Floats, camera: Camera | None = None, bare: bool = False) -> Picture:
        """Draw the loaded person; `background` (height, width, 3) linear. `bare`: no hair, nothing worn, no shadows."""
        scene, light = self.scene, moment.light
        person, look = scene.person, scene.look
        posed = person.pose(with_lids(moment.actions, moment.gaze), tuple(map(float, moment.rot)))
        scene.move(posed)
        eyes = posed.vertices[np.r_[topology().eyes[0], topology().eyes[1]]].mean(0)
        face = 0.5 * (eyes + posed.vertices[LOWER_LIP_AND_CHIN].mean(0))
        place, target = moment.sight(face)
        width, height = self.size
        seen = geometry.perspective(moment.view_deg, width / height, NEAR, FAR) @ geometry.look_at(place, target)
        key = light.lamps[0]
        at_lamp = person.centre + key * 7
        lamp_view = geometry.orthographic(-3, 3, -3.6, 2.4, 0.1, 14) @ geometry.look_at(at_lamp, person.centre)
        self._shadow_target.use()
        self._shadow_target.clear()
        if not bare:
            self._draw_shadows(lamp_view, posed, tuple(map(float, at_lamp)))

        shared = {
            "VP": seen.T,
            "LVP": lamp_view.T,
            "sh_b": light.harmonics().astype(np.float32),
            "sh_h": light.harmonics(posed.head[0]).astype(np.float32),
            "cam": tuple(map(float, place)),
            "Ldir": light.lamps,
            "Lcol": light.lamp_colours,
            "shadow": 0,
            "shadow_soft": float(light.softness),
        }
        self._target.use()
        self._target.clear(0, 0, 0, 0)
        context().enable_only(context().DEPTH_TEST)
        self._shadow.use(0)
        for unit, texture in enumerate(scene.textures, 1):
            texture.use(unit)
        self._draw_solid(shared, look, posed, bare, moment.before)
        self._draw_eyes(shared, posed, moment.gaze)
        if not bare:
            hair = {**shared, **scene.hair_uniforms(posed), "camv": shared["cam"], "wmul": 1.0}
            drawn = look.hair
            set_uniforms(scene.programs.hair, hc=look.hair_colours, strands=float(drawn.strands), **hair)
            set_uniforms(scene.programs.hair, spec=float(look.hair_gloss))
            scene.hair.render()
        self._draw_lashes(seen, look, bare)
        px_per_dm = self._drawn[1] / (
            2 * np.tan(np.radians(moment.view_deg) / 2) * np.linalg.norm(np.array(place) - target)
        )
        camera, layers = camera or Camera(), self._layers()
        if look.cartoon:
            made = draw_cartoon(layers, self._distance(), background, camera, self.size)
        else:
            made = develop(layers, background, camera, self.size, px_per_dm)
        landmarks = posed.vertices[geometry.landmark_vertices()]
        return replace(made, landmarks=geometry.in_picture(landmarks, seen, self.size))

    def _draw_shadows(self, lamp_view: Any, posed: Posed, lamp: tuple[float, ...]) -> None:
        scene = self.scene
        context().enable_only(context().DEPTH_TEST)
        set_uniforms(scene.programs.depth, LVP=lamp_view.T)
        scene.skin_depth.render()
        around = scene.hair_uniforms(posed)
        set_uniforms(scene.programs.hair_depth, LVP=lamp_view.T, camv=lamp, wmul=0.8, **around)
        scene.hair_depth.render()

    def _draw_solid(self, shared: dict[str, Any], look: Look, posed: Posed, bare: bool, before: Worn | None) -> None:
        """Skin, shirt, tongue and teeth: one program, four kinds."""
        gl, scene = context(), self.scene
        skin = scene.programs.skin
        set_uniforms(
            skin,
            alb=1,
            bump=2,
            base=tuple(map(float, look.skin.neck)),
            shirtc=look.shirt_colours,
            bumpk=look.bump_height,
            slopek=STEEPEST * 2,
            neck_y=float(posed.vertices[look.collar, 1] + look.collar_rise),
            pat=look.stripes,
            **shared,
        )
        worn = [] if bare else [(4, part) for part in scene.worn]
        if before is not None:
            worn.append((4, scene.prop(before)))
        inner = [(0, scene.skin), (1, scene.shirt), (2, scene.tongue), *((3, row) for row in scene.teeth)]
        for kind, part in [*inner, *worn]:
            skin["kind"].value = kind
            # Cloth is seen from within at the collar; skin never is.
            gl.enable_only(gl.DEPTH_TEST | (gl.CULL_FACE if kind == 0 else gl.NOTHING))
            part.array.render()
        gl.enable_only(gl.DEPTH_TEST)

    def _draw_eyes(self, shared: dict[str, Any], posed: Posed, gaze: Any) -> None:
        scene, (yaw, pitch), (turned, moved) = self.scene, gaze, posed.head
        look, program = scene.look, scene.programs.eye
        for which, ((centre, radius), array) in enumerate(zip(scene.person.eyes, scene.eyes, strict=True)):
            inwards = VERGENCE * (-1 if which == 0 else 1)
            set_uniforms(
                program,
                ec=tuple(map(float, centre)),
                er=float(radius),
                Re=geometry.rotation(-pitch, yaw + inwards, 0).T,
                RH=turned.T,
                tH=tuple(map(float, moved)),
                iris_r=float(look.iris_size),
                irisc=look.iris_colours,
                pupil=float(look.pupil),
                eyetex=3,
                scl=tuple(map(float, look.sclera)),
                lidtop=0.45,
                **shared,
            )
            array.render()

    def _draw_lashes(self, seen: Any, look: Look, bare: bool) -> None:
        gl, program = context(), self.scene.programs.lash
        gl.enable_only(gl.DEPTH_TEST | gl.BLEND)
        # Alpha stays: it says what lies below.
        gl.blend_func = gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ZERO, gl.ONE
        self._target.depth_mask = False
        set_uniforms(program, VP=seen.T, lash=4, lc=tuple(look.lash_colour), la=float(look.lash_opacity))
        for array, _, _ in self.scene.lashes:
            array.render()
        if self.scene.lens is not None and not bare and look.outfit.lens is not None:
            lens = look.outfit.lens
            self.scene.lens_texture.use(5)
            set_uniforms(program, lash=5, lc=tuple(map(float, lens.tint)), la=lens.opacity)
            self.scene.lens.render()
        self._target.depth_mask = True

    def _layers(self) -> list[Floats]:
        """The three drawn layers, (H, W, 4) float32, top row first."""
        width, height = self._drawn
        return [
            np.frombuffer(self._target.read(components=4, attachment=k, dtype="f2"), np.float16)
            .reshape(height, width, 4)[::-1]
            .astype(np.float32)
            for k in range(3)
        ]

    def _distance(self) -> Floats:
        """(H, W) how far what is drawn lies from the camera's plane, dm, top row first."""
        width, height = self._drawn
        depth = np.frombuffer(self._depth.read(), np.float32).reshape(height, width)[::-1]
        return np.asarray(2 * NEAR * FAR / (FAR + NEAR - (2 * depth - 1) * (FAR - NEAR)), np.float32)
