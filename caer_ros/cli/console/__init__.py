"""What commands share: processes, ROS domains, output folders, and what a process uses."""
