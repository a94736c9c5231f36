"""Files that hold workflows, and the JSON inside them."""
