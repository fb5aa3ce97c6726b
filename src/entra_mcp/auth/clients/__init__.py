"""The clients of this server: their names, their redirect URIs, and how they prove who they are."""
