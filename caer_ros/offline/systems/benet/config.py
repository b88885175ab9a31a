"""What BENet is built of, and how it learns: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from caer_ros.offline.training.config import ConfigError, TrainConfig


@dataclass(frozen=True)
class BenetConfig:
    """BENet (Cladière et al., ACIVS 2023, section 3.1); what the paper leaves out is from the authors' public code."""

    width: int = 32
    """C: the four streams have C, 2C, 4C and 8C channels."""
    modules: int = 2
    """Exchange modules of each of the stages 2 to 4; HRNet-W32 has 1, 4 and 3."""
    blocks: int = 3
    """Residual blocks of each stream in a module, and of each tower of a head; HRNet-W32 has 4."""
    detection: bool = True
    """With heatmap and sizes (Det); without, persons are not found."""
    person_centric: bool = True
    """With a classifier of a person's crop (PC): trains the backbone, and refines evaluation."""
    background: bool = True
    """With a classifier of the scene without its persons (BG): trains the backbone."""
    extra_labels: int = 0
    """E' of a second data set that is learnt through an adaptor on top of the E outputs (ED); HECO has 8."""


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
    """Weight of the loss of centres (eq. 3)."""
    size_weight: float = 0.1
    """Weight of the loss of sizes (eq. 3)."""
    emotion_weight: float = 1.0
    """Weight of each loss of emotions (eq. 6)."""
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
class BenetTraining(TrainConfig):
    """A training run of BENet."""

    task: Literal["benet"] = "benet"
    benet: BenetConfig = field(default_factory=BenetConfig)
    """The network."""
    benet_recipe: BenetRecipe = field(default_factory=BenetRecipe)
    """How the network learns."""

    def __post_init__(self) -> None:
        """Check what types cannot say. Raises ConfigError, which names the field."""
        super().__post_init__()
        if problem := self.benet_recipe.problem():
            raise ConfigError(problem)
