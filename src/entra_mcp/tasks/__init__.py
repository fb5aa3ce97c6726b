"""Background tasks: tools that go on running after their call was answered (SEP-2663, `io.modelcontextprotocol/tasks`).

A task is a row of Table Storage (`rows.py`). A message in a storage queue (`queue.py`) asks for a look at the row. A
function of the Functions host brings the message to the runner (`runner.py`), on whatever instance. docs/tasks.md draws
the states and gives the guarantees and the limits.
"""
