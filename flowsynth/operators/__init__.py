"""The verbs: one file per operator."""
