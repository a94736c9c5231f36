"""What each class of ComfyUI's nodes is here."""
