"""How BENet and DSCT learn, beside what all trainings share: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ExtraData:
    """A second data set to learn from, whose labels are learnt through the network's adaptor."""

    name: str
    """A data set, as `caer data check` calls it."""
    root: str
    """Its folder."""
    splits: tuple[str, ...] = ("train", "val", "test")
    """Splits to learn from; all of it in the code, as the paper tests on EMOTIC alone."""


@dataclass(frozen=True)
class BenetRecipe:
    """BENet (ACIVS 2023, sections 3.3 and 4.1); what the paper leaves out is from the authors' public code.

    An example is an annotated person and his image. One of four pre-transforms is drawn for it, which says which head
    learns from it. ``data.augmentation`` and ``data.resize`` do not apply, and ``data.size`` is a square.
    """

    weights: str | None = None
    """A file of HigherHRNet-W32 (COCO pose) or HRNet-W32 (ImageNet), of which the backbone takes what fits; the authors
    take the former. null begins at random."""
    raw: float = 0.25
    """How often an image stays as it is and teaches the detection head. 0: it has none (benet.detection false)."""
    mask_some: float = 0.25
    """RandomMaskSubjects, for the bottom-up head: others than one are masked, each with probability 0.5."""
    extract: float = 0.25
    """ExtractSubject, for the person-centric head: the person's crop, where others cover at most 0.4 of it."""
    mask_all: float = 0.25
    """MaskAllSubjects, for the background head: where boxes cover at most 0.4 of the image."""
    apart: Literal["each_axis", "inside"] = "each_axis"
    """When a person may not be masked beside one who is kept. each_axis: the centre of one lies within the other's
    columns or rows, so of people side by side none is masked (code). inside: it lies in the other's box."""
    min_visible: float = 0.0
    """A person of whom less than this part of the box stays in the image is not learnt from. 0: all are, also those
    who went out, at the image's edge (code)."""
    scale: tuple[float, float] = (0.75, 1.5)
    """Side of the square that is seen, in shorter sides of the image (of a crop: longer sides); below 1 is nearer."""
    rotation: float = 5.0
    """To either side, degrees."""
    perspective: float = 5e-5
    """Largest change of depth for each pixel of the image."""
    translation: float = 0.0075
    """The square moves right and down by up to this part of its side. The code has a setting of 40 pixels, which it
    does not use."""
    flip: float = 0.5
    """How often left and right are swapped."""
    noise: float = 5e-4
    """Largest variance of Gaussian noise, of values 0 to 1."""
    colour: tuple[float, float] = (0.85, 1.0)
    """Factor of brightness, of contrast and of saturation."""
    hue: float = 0.1
    """Largest turn of the hue, of a whole turn; one way only."""
    blur: tuple[float, float] = (0.1, 2.0)
    """Standard deviation of a Gaussian of 3 x 3 pixels."""
    heatmap_weight: float = 1.0
    """Of the loss of centres (eq. 3)."""
    size_weight: float = 0.1
    """Of the loss of sizes (eq. 3)."""
    emotion_weight: float = 1.0
    """Of each loss of emotions (eq. 6)."""
    extra: ExtraData | None = None
    """Extra data (ED), trained on beside data; benet.extra_labels is its number of labels."""

    def problem(self) -> str | None:
        """What types cannot say: the field that is out of its range, and what is expected; None: all is well."""
        between = ("raw", "mask_some", "extract", "mask_all", "min_visible", "flip")
        ranges = {**dict.fromkeys(between, (0, 1)), "hue": (0, 0.5), "rotation": (0, 45)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                return f"benet_recipe.{name}: {getattr(self, name)}, expected {low} to {high}"
        if not self.mask_some:
            return "benet_recipe.mask_some: 0, but without it the bottom-up head learns nothing"
        for name in ("scale", "colour", "blur"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                return f"benet_recipe.{name}: [{low}, {high}], expected two numbers above 0, the lower first"
        for name in ("perspective", "translation", "noise", "heatmap_weight", "size_weight", "emotion_weight"):
            if not getattr(self, name) >= 0:
                return f"benet_recipe.{name}: {getattr(self, name)}, expected 0 or more"
        return None


@dataclass(frozen=True)
class DsctRecipe:
    """DSCT (Li et al., ACM MM 2024, section 4.1 and supplement A). Defaults are those of EMOTIC.

    ``data.size``, ``data.resize`` and ``data.augmentation`` do not apply: images keep their aspect, and change as here.
    """

    weights: str | None = None
    """The file of Deformable DETR's weights of COCO to begin with, as the paper does; null begins at random."""
    short_sides: tuple[int, ...] = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    """Training images get one of these as their shorter side, pixels."""
    val_short: int = 800
    """Shorter side in validation, and on the robot."""
    longest: int = 1333
    """Most pixels of the longer side; where the aspect asks for more, both sides are less."""
    flip_probability: float = 0.5
    """How often left and right are swapped."""
    crop_probability: float = 0.5
    """How often a random part of the image is taken first."""
    crop_short_sides: tuple[int, ...] = (400, 500, 600)
    """The image gets one of these as its shorter side before a part is taken."""
    crop: tuple[int, int] = (384, 600)
    """Least and most pixels of each side of that part. These four are the public code's; the paper has no figures."""
    match_class: float = 2.0
    """Weight of the labels in the cost of matching (θ_cls)."""
    match_l1: float = 5.0
    """Weight of the boxes' distance in the cost of matching (θ_box)."""
    match_giou: float = 2.0
    """Weight of the boxes' generalised IoU in the cost of matching. From the public code; the paper has one θ_box."""
    class_weight: float = 5.0
    """Weight of the labels' loss (λ_cls): 5 on EMOTIC, and in the public code 9 on CAER-S."""
    l1_weight: float = 5.0
    """Weight of the boxes' distance in the loss (λ_box)."""
    giou_weight: float = 2.0
    """Weight of the boxes' generalised IoU in the loss. From the public code; the paper has one λ_box."""
    backbone_rate: float = 0.1
    """The backbone's part of the learning rate."""
    sampling_rate: float = 0.1
    """That of the projections which give reference points and sampling offsets."""
