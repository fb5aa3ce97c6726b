"""A viewer of traces and metrics for a laptop: takes them over OTLP/HTTP, and shows them in a browser.

The viewers that are worth installing are programs of other ecosystems, or containers; this one needs nothing that the
project does not have.
"""
