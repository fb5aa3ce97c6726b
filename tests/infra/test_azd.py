"""azure.yaml, its hooks, host.json, and the workflows: what azd, the host and GitHub would refuse or do wrongly."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest
import yaml

from local.config import REPOSITORY
from tests.infra.template import main
from tests.infra.test_parameters import OF_HOOKS, variables

AZURE: dict[str, Any] = yaml.safe_load((REPOSITORY / "azure.yaml").read_text("utf-8"))
HOOKS = {
    "preprovision": "preflight",
    "postprovision": "postprovision",
    "predown": "predown",
    "postdown": "postdown",
}
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_azure_yaml_names_its_schema_its_template_and_the_oldest_azd() -> None:
    first = (REPOSITORY / "azure.yaml").read_text("utf-8").splitlines()[0]
    assert re.fullmatch(r"# yaml-language-server: \$schema=https://\S+/azure\.yaml\.json", first)
    assert AZURE["metadata"]["template"].startswith(f"{AZURE['name']}@")
    # Python hooks came with 1.23.15.
    oldest = tuple(int(part) for part in re.findall(r"\d+", AZURE["requiredVersions"]["azd"]))
    assert AZURE["requiredVersions"]["azd"].startswith(">= ")
    assert oldest >= (1, 23, 15)


def test_azure_yaml_describes_one_python_function_and_the_templates() -> None:
    server = {name: value for name, value in AZURE["services"]["server"].items() if name not in {"dist", "hooks"}}
    assert (server, len(AZURE["services"])) == ({"project": ".", "host": "function", "language": "python"}, 1)
    infra = AZURE["infra"]
    assert (REPOSITORY / infra["path"] / f"{infra['module']}.bicep").is_file()
    assert infra["provider"] == "bicep"
    known = {"name", "metadata", "requiredVersions", "resourceGroup", "infra", "services", "hooks", "pipeline"}
    assert set(AZURE) == known


def test_version_of_the_template_is_that_of_the_project() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    version = re.search(r'^version = "(.*)"$', project, re.MULTILINE)
    assert version is not None
    assert AZURE["metadata"]["template"].endswith(f"@{version[1]}")


def test_hooks_are_those_that_the_tools_have() -> None:
    assert set(AZURE["hooks"]) == set(HOOKS)


@pytest.mark.parametrize("event", HOOKS)
def test_hook_is_a_python_file_that_calls_its_command(event: str) -> None:
    hook = AZURE["hooks"][event]
    assert hook["kind"] == "python"
    source = (REPOSITORY / hook["run"]).read_text("utf-8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    arguments = [ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "main"]
    assert arguments == [[HOOKS[event]]]


def test_environment_of_the_hooks_has_the_locked_packages() -> None:
    """azd installs what the nearest file names; without one beside the hooks that is pyproject.toml, unlocked."""
    folders = {(REPOSITORY / hook["run"]).parent for hook in AZURE["hooks"].values()}
    assert len(folders) == 1
    requirements = folders.pop() / "requirements.txt"
    lines = [line for line in requirements.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert lines == ["-r ../../requirements.txt"]
    assert (requirements.parent / lines[0].split()[1]).resolve() == REPOSITORY / "requirements.txt"
    assert not (requirements.parent / "pyproject.toml").exists()


def test_host_json_suits_flex_consumption() -> None:
    host = json.loads((REPOSITORY / "host.json").read_text("utf-8"))
    assert host["version"] == "2.0"
    assert host["extensionBundle"]["id"] == "Microsoft.Azure.Functions.ExtensionBundle", "it brings the queue trigger"
    assert host["extensions"]["http"] == {"routePrefix": ""}
    assert host["functionTimeout"] == "00:10:00", "tests/engine/unit/web/test_time_limits.py tells why"


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_and_say_which_version_they_are(file: Any) -> None:  # noqa: ANN401 - a parametrized path
    text = file.read_text("utf-8")
    uses = re.findall(r"uses: *(\S+)(.*)", text)
    assert uses
    for action, comment in uses:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    versions = {action.split("@")[0]: set[str]() for action, _ in uses}
    for action, comment in uses:
        versions[action.split("@")[0]].add(action.split("@")[1] + comment)
    assert all(len(found) == 1 for found in versions.values())


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_has_least_permissions_and_no_secret(file: Any) -> None:  # noqa: ANN401 - a parametrized path
    text = file.read_text("utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"]["contents"] == "read"
    assert set(workflow["permissions"]) <= {"contents", "id-token"}
    assert "secrets." not in text
    assert "pull_request_target" not in text
    for step in steps(workflow):
        # What anybody may write into a title or a branch name is never part of a command.
        assert "${{" not in step.get("run", "")
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_pull_requests_run_what_a_developer_runs() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert "pull_request" in workflow[True]  # YAML 1.1 reads the key `on` as a boolean
    commands = "\n".join(step.get("run", "") for step in steps(workflow))
    for command in ("make test", "make check", "make run CHECK=1", "az bicep install", "pip-audit"):
        assert command in commands
    assert any("codeql-action/analyze" in step.get("uses", "") for step in steps(workflow))


def test_code_scanning_runs_where_github_takes_its_results() -> None:
    """In a private repository that takes GitHub Code Security, which is paid for."""
    jobs = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    condition = "github.event.repository.visibility == 'public' || vars.CODEQL == 'true'"
    assert {name: job["if"] for name, job in jobs.items() if "if" in job} == {"codeql": condition}
    assert "gh variable set CODEQL --body true" in (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")


def test_pull_requests_have_the_pinned_compiler_on_path_before_the_tests_run() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    job = workflow["jobs"]["test"]["steps"]
    commands = [step.get("run", "") for step in job]
    installs = next(place for place, ran in enumerate(commands) if "az bicep install" in ran)
    assert re.search(r"^az bicep install --version v\d+\.\d+\.\d+$", commands[installs], re.MULTILINE)
    assert '.azure/bin" >> "$GITHUB_PATH"' in commands[installs]
    assert commands[installs].rstrip().endswith('.azure/bin/bicep" --version'), "without it no such test is collected"
    assert installs < commands.index("make test")
    assert not [step for step in job if "continue-on-error" in step or "if" in step]


def test_deployment_signs_in_without_a_secret_and_uses_outputs_that_exist() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "azure-dev.yml").read_text("utf-8"))
    assert workflow["permissions"]["id-token"] == "write"
    assert set(workflow[True]) == {"workflow_dispatch", "push"}
    commands = "\n".join(step.get("run", "") for step in steps(workflow))
    order = ["azd auth login", "azd provision", "azd package", "azd deploy", "-m ops smoke"]
    assert [commands.index(command) for command in order] == sorted(commands.index(command) for command in order)
    outputs = set(main().of("output"))
    assert set(re.findall(r"azd env get-value (\w+)", commands)) <= outputs
    assert all(job["concurrency"]["cancel-in-progress"] is False for job in workflow["jobs"].values())
    inputs = {variable for variable, _ in variables().values()} | OF_HOOKS
    assert set(workflow["jobs"]["deploy"]["env"]) == inputs | {
        "AZURE_CLIENT_ID",
        "AZURE_TENANT_ID",
        "AZURE_SUBSCRIPTION_ID",
    }


def test_docs_use_outputs_and_variables_that_exist() -> None:
    known = set(main().of("output")) | {variable for variable, _ in variables().values()}
    for file in [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / ".vscode" / "mcp.json"]:
        assert set(re.findall(r"azd env get-value (\w+)", file.read_text("utf-8"))) <= known, file.name


def test_editors_and_codespaces_files_are_json_that_names_what_exists() -> None:
    for file in [*(REPOSITORY / ".vscode").glob("*.json"), *(REPOSITORY / ".devcontainer").glob("*.json")]:
        json.loads(file.read_text("utf-8"))
    tasks = json.loads((REPOSITORY / ".vscode" / "tasks.json").read_text("utf-8"))["tasks"]
    labels = {task["label"] for task in tasks}
    launches = json.loads((REPOSITORY / ".vscode" / "launch.json").read_text("utf-8"))["configurations"]
    assert {launch["preLaunchTask"] for launch in launches if "preLaunchTask" in launch} <= labels
    assert {task["dependsOn"] for task in tasks if "dependsOn" in task} <= labels
    container = json.loads((REPOSITORY / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert (REPOSITORY / ".python-version").read_text().strip() in container["image"]


def test_workbook_and_alerts_count_what_happened_and_not_the_rows_that_sampling_left() -> None:
    workbook = (REPOSITORY / "infra" / "workbook.json").read_text("utf-8")
    assert "sum(itemCount)" in workbook
    assert not re.findall(r"\bcount(?:if)?\(|\bpercentile\(", workbook)
    alerts = (REPOSITORY / "infra" / "modules" / "alerts.bicep").read_text("utf-8")
    assert re.findall(r"timeAggregation: '(\w+)'", alerts) == ["Total"]
    assert "metricMeasureColumn: 'itemCount'" in alerts
    assert not re.search(r"query: '[^\n]*\| (?:project|summarize|count)\b", alerts)


def test_workbook_and_alerts_look_for_what_the_server_logs() -> None:
    """A message that is reworded would leave a chart empty and an alert silent."""
    sources = "\n".join(file.read_text("utf-8") for file in (REPOSITORY / "src").rglob("*.py"))
    workbook = json.loads((REPOSITORY / "infra" / "workbook.json").read_text("utf-8"))
    queries = "\n".join(item["content"]["query"] for item in workbook["items"] if item["type"] == 3)
    for phrase in re.findall(r"message (?:startswith|contains) '([^']+)'", queries):
        if phrase != "AADSTS":
            assert phrase.strip() in sources, phrase
    for path in re.findall(r"path == '([^']+)'|Path\) == '([^']+)'", queries):
        assert "".join(path) in {"/auth/callback", "/token", "/register", "/mcp"}
