"""The values that travel on edges, one file a type, each with its codec."""
