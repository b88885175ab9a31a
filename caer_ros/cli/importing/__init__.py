"""``caer import``: make bundles of the weights that others published."""

PUBLISHED = {
    "benet": "a bundle of BENet's published weights",
    "dsct": "a bundle of DSCT's published weights",
    "faces": "a bundle of any expression network in an ONNX file",
}
"""Name of each command, which is that of its module here, and what it makes."""
