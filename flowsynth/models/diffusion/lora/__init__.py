"""Low-rank adapters: what a file holds, what its metadata asks for, and putting it into a network."""
