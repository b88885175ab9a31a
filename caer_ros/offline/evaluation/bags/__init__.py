"""Evaluation of bags: offline, or as recorded."""
