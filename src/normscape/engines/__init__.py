"""What runs many runs: this machine's processes, Ray, SLURM. Figures and sweeps use the same engines and settings.

An engine is named by a file in ``configs/hydra/launcher/``; a module here does the work. `normscape.launch` asks it.
"""
