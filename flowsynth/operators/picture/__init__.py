"""How a picture looks, and several in one."""
