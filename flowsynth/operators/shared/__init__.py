"""What verbs of several rooms use. No verb lies here."""
