"""DSCT (Li et al., ACM MM 2024)."""
