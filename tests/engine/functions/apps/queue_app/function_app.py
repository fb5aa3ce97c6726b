"""One function that a queue triggers, which does what the message says and writes down that it did."""

import asyncio
import json
import os
import signal
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()
running = 0


@app.queue_trigger("message", "work", "AzureWebJobsStorage")  # pyright: ignore[reportUnknownMemberType] - the SDK's
async def work(message: func.QueueMessage) -> None:
    global running  # noqa: PLW0603 - how many run at once in this process
    running += 1
    body = message.get_body().decode()
    line = {
        "body": body,
        "attempt": message.dequeue_count,
        "running": running,
        "id": message.id,
        "process": os.getpid(),
    }
    with Path(os.environ["RECORD"]).open("a") as record:  # noqa: ASYNC230 - one short line
        record.write(json.dumps(line) + "\n")
    try:
        match body.split():
            case ["sleep", seconds]:
                await asyncio.sleep(float(seconds))
            case ["fail", *_]:
                raise RuntimeError("It does not work.")
            case ["die"]:
                os.kill(os.getpid(), signal.SIGKILL)
            case _:
                pass
    finally:
        running -= 1


@app.queue_trigger("message", "odd-poison", "AzureWebJobsStorage")  # pyright: ignore[reportUnknownMemberType] - the SDK's
async def judge(message: func.QueueMessage) -> None:
    await work(message)
