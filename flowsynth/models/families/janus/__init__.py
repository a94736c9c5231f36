"""Family ``janus``: pictures drawn token by token (DeepSeek's Janus and Janus-Pro)."""
