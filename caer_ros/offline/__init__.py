"""The companion on the desk: data sets, training, honest metrics and export of the models that the robot runs."""
