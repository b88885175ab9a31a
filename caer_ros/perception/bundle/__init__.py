"""Model bundles: what a card says, found, read strictly and verified."""
