"""ROS 2 bags: what is in them, and messages of our own types."""
