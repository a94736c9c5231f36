"""The steps of a diffusion pipeline."""
