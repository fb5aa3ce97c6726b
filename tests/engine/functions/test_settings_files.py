"""host.json and local.settings.json: what is wrong is said with the file, the line and the way out."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from local.host.errors import SettingsFileError
from local.host.settings_files import environment, read_host_config, read_local_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    return tmp_path / "local.settings.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  // why\n  "Values": {}\n}', r"local\.settings\.json, line 2: a comment"),
        ('{\n  "Values": {} /* why */\n}', r"line 2: a comment"),
        ('{"Values": {},\n # why\n}', r"a comment"),
        ('{\n  "Values": {\n    "A": "1",\n  }\n}', r"line [34]: a comma"),
        ('{"Values": {"A": "1"\n "B": "2"}}', r"line 2: not JSON"),
        ("", r"line 1: not JSON"),
        ("[]", r"object"),
        ('{"IsEncrypted": true, "Values": {}}', r"IsEncrypted.*func settings decrypt"),
        ('{"IsEncrypted": "true", "Values": {}}', r"IsEncrypted.*func settings decrypt"),
        ('{"Values": []}', r'"Values": .* object'),
        ('{"Values": {"N": 1}}', r'"Values\.N": .* put the value in double quotes'),
        ('{"Values": {"B": true}}', r'"Values\.B": .* put the value in double quotes'),
        ('{"Values": {"O": {}}}', r'"Values\.O": .* string'),
        ('{"Values": {"Z": null}}', r'"Values\.Z": .* string'),
        ('{"Values": {"FUNCTIONS_WORKER_RUNTIME": "node"}}', r'must be "python"'),
    ],
)
def test_faulty_settings_file_is_refused(settings_file: Path, text: str, message: str) -> None:
    settings_file.write_text(text)

    with pytest.raises(SettingsFileError, match=message):
        read_local_settings(settings_file, required=False)


def test_fault_never_shows_a_value(settings_file: Path) -> None:
    settings_file.write_text('{"Values": {"SECRET": 424242}}')

    with pytest.raises(SettingsFileError) as caught:
        read_local_settings(settings_file, required=False)
    assert "424242" not in str(caught.value)


def test_null_stands_for_not_encrypted(settings_file: Path) -> None:
    settings_file.write_text('{"IsEncrypted": null, "Values": {"A": "1"}}')

    assert read_local_settings(settings_file, required=False) == {"A": "1"}


def test_settings_are_read_with_a_byte_order_mark(settings_file: Path) -> None:
    settings_file.write_text('{"Values": {"A": "1"}}', encoding="utf-8-sig")

    assert read_local_settings(settings_file, required=False) == {"A": "1"}


def test_missing_settings_file_is_fine_unless_it_was_named(settings_file: Path) -> None:
    assert read_local_settings(settings_file, required=False) == {}
    with pytest.raises(SettingsFileError, match="does not exist"):
        read_local_settings(settings_file, required=True)


def test_outer_environment_wins_over_values_and_values_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "outer")
    values = {"A": "file", "B": "file", "WEBSITE_HOSTNAME": "file"}
    made = environment(values, host_name="localhost:1", watched=False)

    assert (made["A"], made["B"], made["WEBSITE_HOSTNAME"]) == ("outer", "file", "file")
    assert made["FUNCTIONS_WORKER_RUNTIME"] == "python"


@pytest.mark.parametrize(
    ("text", "prefix", "timeout"),
    [
        ('{"version": "2.0"}', "api", timedelta(minutes=30)),
        ('{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}', "", timedelta(minutes=30)),
        ('{"version": "2.0", "extensions": {"http": {"routePrefix": "/v1/"}}}', "v1", timedelta(minutes=30)),
        ('{"version": "2.0", "functionTimeout": "00:05:00"}', "api", timedelta(minutes=5)),
        ('{"version": "2.0", "functionTimeout": "-1"}', "api", timedelta.max),
    ],
)
def test_host_file_sets_prefix_and_timeout(tmp_path: Path, text: str, prefix: str, timeout: timedelta) -> None:
    (tmp_path / "host.json").write_text(text)
    config = read_host_config(tmp_path)

    assert (config.route_prefix, config.function_timeout) == (prefix, timeout)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is missing"),
        ("{}", 'version" must be "2.0"'),
        ('{"version": "1.0"}', 'version" must be "2.0"'),
        ('{"version": 2}', 'version" must be "2.0"'),
        ('{"version": "2.0", "extensions": []}', '"extensions": .* object'),
        ('{"version": "2.0", "extensions": null}', '"extensions": .* object'),
        ('{"version": "2.0", "extensions": {"http": "v1"}}', r'"extensions\.http": .* object'),
        ('{"version": "2.0", "logging": []}', '"logging": .* object'),
        ('{"version": "2.0", "logging": {"logLevel": 1}}', r'"logging\.logLevel": .* object'),
        ('{"version": "2.0", "extensions": {"http": {"routePrefix": 1}}}', "routePrefix"),
        ('{"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}', r"extensions\.queues\.batchSize"),
        ('{"version": "2.0", "functionTimeout": "5 minutes"}', r'functionTimeout.* "00:05:00"'),
        ('{"version": "2.0", "functionTimeout": 5}', "functionTimeout"),
    ],
)
def test_faulty_host_file_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "host.json").write_text(text)

    with pytest.raises(SettingsFileError, match=message):
        read_host_config(tmp_path)


def test_levels_of_the_log_and_options_of_queues_are_read(tmp_path: Path) -> None:
    parts = {"logging": {"logLevel": {"default": "Warning"}}, "extensions": {"queues": {"batchSize": 8}}}
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0", **parts}))
    config = read_host_config(tmp_path)

    assert config.log_levels == {"default": "Warning"}
    assert (config.queues.batch_size, config.queues.new_batch_threshold) == (8, 4)
