"""What a portrait's parts are made of, as Cycles' materials. Runs in Blender's Python, as `scene` does."""

from pathlib import Path
from typing import Any

import bpy


def linear(rgb: Any) -> tuple[float, float, float, float]:
    r, g, b = ((c / 255) ** 2.2 for c in rgb)
    return (r, g, b, 1.0)


class Shader:
    """A material's node tree, wired by short calls."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.output = self.tree.nodes.new("ShaderNodeOutputMaterial").inputs[0]

    def add(self, kind: str, **inputs: Any) -> Any:
        node = self.tree.nodes.new("ShaderNode" + kind)
        for name, value in inputs.items():
            self.set(node.inputs[name.replace("_", " ")], value)
        return node

    def set(self, socket: Any, value: Any) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def picture(self, path: Path, colour: bool = True) -> Any:
        node = self.add("TexImage")
        node.image = bpy.data.images.load(str(path), check_existing=True)
        node.image.colorspace_settings.name = "sRGB" if colour else "Non-Color"
        node.interpolation, node.extension = "Cubic", "EXTEND"
        return node

    def sum(self, how: str, first: Any, second: Any) -> Any:
        node = self.add("Math")
        node.operation = how
        self.set(node.inputs[0], first)
        self.set(node.inputs[1], second)
        return node.outputs[0]

    def blend(self, first: Any, second: Any, share: Any) -> Any:
        node = self.add("Mix")
        node.data_type = "RGBA"
        for number, value in ((6, first), (7, second), (0, share)):
            self.set(node.inputs[number], value)
        return node.outputs[2]

    def over(self, below: Any, above: Any, share: Any) -> Any:
        node = self.add("MixShader")
        for number, value in enumerate((share, below, above)):
            self.set(node.inputs[number], value)
        return node.outputs[0]

    def finish(self, surface: Any) -> Any:
        self.tree.links.new(surface, self.output)
        return self.material


def skin_material(folder: Path, who: dict[str, Any], key: bool) -> Any:
    """Skin with light below its surface; matt for key pictures, a little oily for portraits."""
    s = Shader("skin")
    chart = s.picture(folder / ("bald.png" if key else "albedo.png")).outputs[0]
    head, lining = (s.add("Attribute") for _ in range(2))
    head.attribute_name, lining.attribute_name = "head", "lining"
    colour = s.blend(tuple(who["neck"]), chart, head.outputs["Fac"])
    colour = s.blend(colour, (0.34, 0.075, 0.06, 1), lining.outputs["Fac"])
    rough = s.sum("ADD", s.picture(folder / "rough.png", False).outputs[0], 0.14 if key else 0.0)
    rough = s.sum("SUBTRACT", rough, s.sum("MULTIPLY", lining.outputs["Fac"], 0.0 if key else 0.2))
    bump = s.add("Bump", Strength=1.0, Distance=0.011)
    height = s.picture(folder / "height.png", False).outputs[0]
    s.set(bump.inputs["Height"], s.sum("MULTIPLY", height, head.outputs["Fac"]))
    surface = s.add("BsdfPrincipled", Base_Color=colour, Roughness=rough, Normal=bump.outputs[0], IOR=1.4)
    s.set(surface.inputs["Subsurface Weight"], 0.0 if key else 1.0)  # under even light it is hardly seen
    s.set(surface.inputs["Subsurface Scale"], 0.015)
    dark = who["melanin"] > 0.5
    s.set(surface.inputs["Subsurface Radius"], (1.0, 0.45, 0.30) if dark else (1.0, 0.36, 0.18))
    surface.subsurface_method = "RANDOM_WALK_SKIN"
    s.set(surface.inputs["Specular IOR Level"], 0.25 if key else 0.5)
    if not key:
        s.set(surface.inputs["Coat Weight"], 0.10)
        s.set(surface.inputs["Coat Roughness"], 0.28)
    return s.finish(surface.outputs[0])


def iris_material(folder: Path, who: dict[str, Any], key: bool) -> Any:
    s = Shader("iris")
    colour = s.picture(folder / "iris.png").outputs[0]
    return s.finish(s.add("BsdfPrincipled", Base_Color=colour, Roughness=0.6).outputs[0])


def white_material(folder: Path, who: dict[str, Any], key: bool) -> Any:
    s = Shader("white")
    colour = s.picture(folder / "white.png").outputs[0]
    surface = s.add("BsdfPrincipled", Base_Color=colour, Roughness=0.3, Coat_Weight=0.5 if key else 1.0)
    s.set(surface.inputs["Coat Roughness"], 0.05)
    s.set(surface.inputs["Subsurface Weight"], 0.5)
    s.set(surface.inputs["Subsurface Scale"], 0.006)
    return s.finish(surface.outputs[0])


def cornea_material(folder: Path, who: dict[str, Any], key: bool) -> Any:
    """Only what it reflects: light passes straight through, without a shadow."""
    s = Shader("cornea")
    clear, mirror = s.add("BsdfTransparent").outputs[0], s.add("BsdfGlossy", Roughness=0.0).outputs[0]
    # The even light of key pictures would lie on the iris as a veil.
    share = s.sum("MULTIPLY", s.add("Fresnel", IOR=1.38).outputs[0], 0.35 if key else 1.0)
    seen = s.over(clear, mirror, share)
    return s.finish(s.over(seen, clear, s.add("LightPath").outputs["Is Shadow Ray"]))


def teeth_material(folder: Path, who: dict[str, Any], key: bool) -> Any:
    """MakeHuman's CC0 texture: enamel a little brighter and yellower, gums less red."""
    s = Shader("teeth")
    colour = s.picture(Path(who["teeth"])).outputs[0]
    levels = s.add("HueSaturation", Color=colour, Saturation=0.75, Value=2.0)
    tint = s.add("Mix")
    tint.data_type, tint.blend_type = "RGBA", "MULTIPLY"
    for number, value in ((0, 1.0), (6, levels.outputs[0]), (7, (1.0, 0.94, 0.85, 1))):
        s.set(tint.inputs[number], value)
    return s.finish(s.add("BsdfPrincipled", Base_Color=tint.outputs[2], Roughness=0.4 if key else 0.2).outputs[0])


def tongue_material(folder: Path, who: dict[str, Any], key: bool) -> Any:
    s = Shader("tongue")
    noise = s.add("TexNoise", Scale=60.0, Detail=3.0)
    bump = s.add("Bump", Strength=0.4, Distance=0.01, Height=noise.outputs[0])
    surface = s.add("BsdfPrincipled", Base_Color=(0.40, 0.12, 0.11, 1), Roughness=0.4, Normal=bump.outputs[0])
    s.set(surface.inputs["Subsurface Weight"], 1.0)
    s.set(surface.inputs["Subsurface Scale"], 0.02)
    return s.finish(surface.outputs[0])


def hair_material(name: str, rgb: Any, rough: float = 0.3, spread: float = 0.6) -> Any:
    s = Shader(name)
    info = s.add("HairInfo")
    value = s.sum("ADD", s.sum("MULTIPLY", info.outputs["Random"], spread), 1 - spread / 2)
    tinted = s.add("HueSaturation", Color=rgb, Value=value).outputs[0]
    hair = s.add("BsdfHairPrincipled")
    hair.model, hair.parametrization = "CHIANG", "COLOR"
    for socket, setting in (("Color", tinted), ("Roughness", rough), ("Radial Roughness", 0.4), ("Coat", 0.0)):
        s.set(hair.inputs[socket], setting)
    return s.finish(hair.outputs[0])


def cloth_material(colour: Any, cut: bool) -> Any:
    """Knitted cloth; `cut`: with a neckline, where the attribute `edge` gets above 0."""
    s = Shader("cloth")
    place = s.add("TexCoord").outputs["Object"]
    folds = s.add("TexNoise", Scale=1.0, Detail=2.0, Distortion=1.0, Vector=place)
    threads = s.add("TexNoise", Scale=85.0, Detail=3.0, Vector=place)
    broad = s.add("Bump", Strength=0.55 if cut else 0.0, Distance=0.5, Height=folds.outputs[0])
    fine = s.add("Bump", Strength=0.45, Distance=0.012, Height=threads.outputs[0], Normal=broad.outputs[0])
    surface = s.add("BsdfPrincipled", Base_Color=linear(colour), Roughness=0.9, Normal=fine.outputs[0])
    s.set(surface.inputs["Specular IOR Level"], 0.15)
    s.set(surface.inputs["Sheen Weight"], 0.25)
    if not cut:
        return s.finish(surface.outputs[0])
    edge = s.add("Attribute")
    edge.attribute_name = "edge"
    above = s.sum("GREATER_THAN", edge.outputs["Fac"], 0.0)
    return s.finish(s.over(surface.outputs[0], s.add("BsdfTransparent").outputs[0], above))


def bare_material(folder: Path) -> Any:
    s = Shader("bare")
    lining = s.add("Attribute")
    lining.attribute_name = "lining"
    shown = s.sum(
        "MULTIPLY", s.picture(folder / "bare.png", False).outputs[0], s.sum("SUBTRACT", 1.0, lining.outputs["Fac"])
    )
    return s.finish(s.add("Emission", Color=shown).outputs[0])


def black_material() -> Any:
    s = Shader("black")
    return s.finish(s.add("Emission", Color=(0, 0, 0, 1)).outputs[0])


SURFACES = {
    "skin": {
        "skin": skin_material,
        "iris": iris_material,
        "white": white_material,
        "cornea": cornea_material,
        "teeth": teeth_material,
        "tongue": tongue_material,
    }
}
"""What each part is made of, by `Character.material`. A figure of another stuff (stone, wood) is a row more: functions
of the character's folder, the character and whether this is a key picture. What is not skin grows no hair."""
