"""How does batch normalization help optimization? Trained, measured, redrawn and judged."""
