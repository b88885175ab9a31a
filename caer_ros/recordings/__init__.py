"""What was recorded: bags, videos, pictures and their annotations, read and written without ROS and without PyTorch."""
