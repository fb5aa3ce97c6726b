"""What receives traces and metrics on a laptop over OTLP/HTTP, and shows them in a browser.

The viewers that are worth installing are programs of other ecosystems, or containers; this one needs nothing that the
project does not have.
"""
