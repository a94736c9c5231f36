"""IP-Adapters: pictures that take the place of words, by attention of their own beside that to the text."""
