"""The report of an evaluation of bags: one HTML file that needs no network and nothing beside it."""
