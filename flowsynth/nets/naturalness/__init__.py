"""Networks, and fitted models, that say how natural a picture looks."""
