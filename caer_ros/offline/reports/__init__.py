"""Reports of evaluations: tables, plots, and pages that need no network."""
