"""Maps that steer a diffusion model, found in frames."""
