"""The queries of alerts, workbook and documentation, by what they are called, and the tables that they ask."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb_kql

from local.config import REPOSITORY

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tests.support.application_insights import Recording

TABLES = {
    "requests": {"name": "string", "url": "string", "success": "bool", "resultCode": "string", "duration": "real"},
    "traces": {"message": "string", "severityLevel": "int"},
    "dependencies": {"name": "string", "success": "bool", "type": "string"},
}
"""What queries use of each, of https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete."""

COMMON = {
    "timestamp": "datetime",
    "operation_Id": "string",
    "operation_Name": "string",
    "customDimensions": "dynamic",
    "itemCount": "int",
}

DUCKDB = {
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "real": "DOUBLE",
    "int": "BIGINT",
    "datetime": "TIMESTAMP",
    "dynamic": "JSON",
}

FOLDER = Path(__file__).parent


def alerts() -> dict[str, str]:
    text = (REPOSITORY / "infra" / "modules" / "alerts.bicep").read_text("utf-8")
    found = re.findall(r"name: '([\w-]+)'(?:(?!name: ').)*?query: '((?:[^'\\]|\\.)*)'", text, re.DOTALL)
    return {f"alert {name}": re.sub(r"\\(.)", r"\1", query) for name, query in found}


def workbook() -> dict[str, str]:
    items = json.loads((REPOSITORY / "infra" / "workbook.json").read_text("utf-8"))["items"]
    queries = {item["name"]: item["content"]["query"] for item in items if "query" in item["content"]}
    return {f"workbook {name}": query.replace("{Time:grain}", "1h") for name, query in queries.items()}


def documentation() -> dict[str, str]:
    return {
        f"{page.name} {number}": query
        for page in sorted((REPOSITORY / "docs").glob("*.md"))
        for number, query in enumerate(re.findall(r"```kusto\n(.*?)```", page.read_text("utf-8"), re.DOTALL), 1)
    }


def faults(queries: dict[str, str]) -> dict[str, list[str]]:
    """What Microsoft's own language service has to say of each."""
    if not (FOLDER / "node_modules").is_dir():
        npm = shutil.which("npm") or "npm"
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=FOLDER, check=True, capture_output=True)
    columns = {
        table: ", ".join(f"{name}: {kind}" for name, kind in (COMMON | own).items()) for table, own in TABLES.items()
    }
    run = subprocess.run(
        ["node", str(FOLDER / "check.cjs")],
        input=json.dumps({"tables": columns, "queries": queries}),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


class Account:
    """The tables of an Application Insights account, filled from a recording."""

    def __init__(self, recording: Recording) -> None:
        self._database = cast("DuckDBPyConnection", duckdb_kql.connect())
        for table, own in TABLES.items():
            columns = COMMON | own
            kinds = ", ".join(f'"{name}" {DUCKDB[kind]}' for name, kind in columns.items())
            self._database.execute(f"CREATE TABLE {table} ({kinds})")
            rows: list[dict[str, Any]] = getattr(recording, table)
            for row in rows:
                values = [json.dumps(row[name]) if kind == "dynamic" else row[name] for name, kind in columns.items()]
                places = ", ".join("?" * len(values))
                self._database.execute(f"INSERT INTO {table} VALUES ({places})", values)  # noqa: S608 - our own names

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The rows of the answer; rendering is left to the portal."""
        answer = duckdb_kql.query(self._database, re.sub(r"\|\s*render \w+\s*$", "", query))
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]
