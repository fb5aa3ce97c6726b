"""What a tool may ask for: who is calling, what was opened for it, an answer from the person."""
