"""Networks that make clips in one go, or token by token."""
