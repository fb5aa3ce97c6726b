"""A Functions app that fails on purpose."""
