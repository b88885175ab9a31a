"""HTML pages: one set of templates, one stylesheet and one script for demo, comparison and reports."""
