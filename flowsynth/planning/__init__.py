"""What a run would do: the plan and where each node is placed. No torch."""
