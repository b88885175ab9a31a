"""Model bundles: found by name, read strictly, verified."""
