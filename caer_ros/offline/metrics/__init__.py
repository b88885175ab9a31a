"""Metrics: plain functions over samples and the predictions of them."""
