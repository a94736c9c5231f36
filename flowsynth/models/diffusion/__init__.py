"""What diffusion families share."""
