"""What runs online has few rights, pinned parts, and the sessions that a machine at home has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WRITES = {("publish", "publish", "contents"), ("results", "propose", "contents"),
          ("results", "propose", "pull-requests")}  # fmt: skip


def read(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def steps() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path.stem, name, step)
        for path in WORKFLOWS
        for name, job in read(path)["jobs"].items()
        for step in job["steps"]
    ]


def test_there_is_one_for_each_purpose() -> None:
    assert [path.stem for path in WORKFLOWS] == ["check", "publish", "results"]


def test_rights_are_given_job_by_job_and_few() -> None:
    found = set()
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] == {}
        for name, job in workflow["jobs"].items():
            rights = job["permissions"]
            assert rights["contents"] in ("read", "write")
            found |= {(path.stem, name, kind) for kind, right in rights.items() if right != "read"}
    assert found == WRITES


def test_parts_are_pinned_by_commit_and_keep_no_token() -> None:
    for _, _, step in steps():
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_no_token_is_where_chapters_run() -> None:
    execute = read(ROOT / ".github" / "workflows" / "results.yml")["jobs"]["execute"]
    assert execute["runs-on"] == ["self-hosted", "gpu"]
    assert not re.search(r"token|secret", str(execute), re.I)
    for path in WORKFLOWS:
        assert "secrets." not in path.read_text(encoding="utf-8")


def test_results_come_on_demand_and_weekly() -> None:
    workflow = read(ROOT / ".github" / "workflows" / "results.yml")
    triggers = workflow[True]  # what YAML makes of the word "on"
    assert set(triggers) == {"workflow_dispatch", "schedule"}
    (schedule,) = triggers["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_sessions_exist(path: Path) -> None:
    known = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.M))
    used = set(re.findall(r"nox --session (\w+)", path.read_text()))
    used |= set(*(job["strategy"]["matrix"]["session"] for job in read(path)["jobs"].values()
                  if "strategy" in job))  # fmt: skip
    assert used
    assert used <= known


def test_every_workflow_names_the_model_that_results_were_made_with() -> None:
    """Else a book made by one model is stale where another is expected."""
    for path in WORKFLOWS:
        assert "FUNDIFF_MODEL: ${{ vars.FUNDIFF_MODEL }}" in path.read_text(encoding="utf-8")
