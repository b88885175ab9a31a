"""Networks: the student, its teachers, and the two-branch peer."""
