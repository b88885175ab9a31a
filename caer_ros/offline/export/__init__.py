"""From a checkpoint to a bundle: robot graph, ONNX file, parity, smaller weights, card, calibration."""
