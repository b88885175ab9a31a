"""What a bundle says about portraits of known people, brought to bodies in street scenes."""
