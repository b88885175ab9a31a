"""Codecs: the target and the decoding of one representation in one file."""
