"""A model on a data set: predictions, the table of all metrics, and a report to look at."""
