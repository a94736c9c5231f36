"""Every pipeline of diffusers behind the verbs, by cutting its own call at the text and at the decoder."""
