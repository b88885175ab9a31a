"""KA (Cladière et al., VISAPP 2025): the student, its teachers, and the amalgamation of what they know."""
