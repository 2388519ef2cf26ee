"""Networks: VGG, MLP and the deep linear net."""
