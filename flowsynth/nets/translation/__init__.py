"""Networks that make a picture out of another one."""
