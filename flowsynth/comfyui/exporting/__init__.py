"""Graphs as ComfyUI's workflows: the way back, where every node has its counterpart."""
