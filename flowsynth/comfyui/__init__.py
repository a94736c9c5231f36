"""ComfyUI's workflows: read, normalised, mapped to operators and written as a graph; and the way back.

Rooms, each of which imports only those before it: `reading` (files), `normal` (what both of ComfyUI's formats
come to), `mapping` (a table of node classes), `emitting` (YAML and API JSON).
"""
