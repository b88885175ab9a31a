"""BENet (Cladière et al., ACIVS 2023)."""
