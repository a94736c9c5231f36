"""Both of ComfyUI's formats as one, with everything resolved that only its editor knows."""
