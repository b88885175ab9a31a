"""Persons over time: order of images, ids, smoothed scores."""
