"""Family ``gan``: generators of adversarial networks, known by their tensors."""
