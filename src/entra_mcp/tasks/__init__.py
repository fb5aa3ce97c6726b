"""Background tasks: tools that go on running after their call was answered (SEP-2663, `io.modelcontextprotocol/tasks`).

A task is a row of Table Storage (`rows.py`). A message in a storage queue (`queue.py`) says that the row has to be
looked at, and a function of the Functions host brings the message to the runner (`runner.py`), on whatever instance.
docs/tasks.md draws the states and gives the guarantees and the limits.
"""
