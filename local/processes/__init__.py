"""Child processes: started, watched, and always ended."""
