"""How a process begins and is asked to stop, its kernels, its surroundings, and whose code it runs."""
