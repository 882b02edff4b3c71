"""What a visitor does, in a real browser on the whole stack: log in, trigger, approve, read the report."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from local import browser
from local.errors import LocalError
from tests.harness.stack import Stack
from upkeep.connections import CONTROL, parse
from upkeep.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(1200)]

SECONDS = 1000.0  # in milliseconds, as playwright counts
RUN_SECONDS = 600.0
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1400, "height": 900}


class Api:
    """Airflow's public API, to wait for what the browser started."""

    def __init__(self, stack: Stack, user: str = "admin") -> None:
        self.client = httpx.Client(base_url=stack.url, trust_env=False, timeout=60)
        answer = self.client.post("/auth/token", json={"username": user, "password": stack.passwords[user]})
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str, **params: Any) -> Any:
        response = self.client.get(f"/api/v2{path}", params=params)
        response.raise_for_status()
        return response.json()

    def switch_on(self) -> None:
        for dag_id in ("partition_creation", "data_retention", "approved_changes"):
            self.client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

    def wait_for_last_night(self, dag_id: str) -> None:
        """Wait for the run that switching on begins: its plan would take the place of one that is looked at."""
        until = time.monotonic() + RUN_SECONDS
        while time.monotonic() < until:
            runs = self.get(f"/dags/{dag_id}/dagRuns")["dag_runs"]
            if runs and all(run["state"] in ("success", "failed") for run in runs):
                return
            time.sleep(1)
        raise AssertionError(f"{dag_id}: last night's run did not end within {RUN_SECONDS} s")

    def wait_for_end(self, dag_id: str, run_id: str) -> str:
        until = time.monotonic() + RUN_SECONDS
        while time.monotonic() < until:
            state = self.get(f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")["state"]
            if state == "success":
                return str(state)
            if state == "failed":
                return f"{self.failures(dag_id, run_id)}\n{self.report(dag_id, run_id)}"
            time.sleep(1)
        raise AssertionError(f"{dag_id} {run_id} did not end within {RUN_SECONDS} s")

    def failures(self, dag_id: str, run_id: str) -> str:
        """Return the end of each failed task's log."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        said = []
        for task in self.get(path)["task_instances"]:
            if task["state"] == "failed":
                log = self.get(f"{path}/{task['task_id']}/logs/{task['try_number']}", map_index=task["map_index"])
                said.append(f"{task['task_id']}: {log['content'][-5:]}")
        return "\n".join(said)

    def trigger(self, dag_id: str) -> None:
        """Run a DAG once to its good end."""
        answer = self.client.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None})
        answer.raise_for_status()
        run_id = answer.json()["dag_run_id"]
        assert self.wait_for_end(dag_id, run_id) == "success"

    def open_question(self) -> str:
        """Return the run of the one question that waits for an answer."""
        until = time.monotonic() + RUN_SECONDS
        while time.monotonic() < until:
            asked = self.get("/dags/~/dagRuns/~/hitlDetails", state="awaiting_input")["hitl_details"]
            if asked:
                (question,) = asked
                return str(question["task_instance"]["dag_run_id"])
            time.sleep(1)
        raise AssertionError("nobody is asked")

    def report(self, dag_id: str, run_id: str) -> str:
        return self.client.get(f"/upkeep/report/{dag_id}/{quote(run_id, safe='')}/report.json").text


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[Api]:
    Ledger.open(parse(CONTROL, stack.connections[CONTROL]), migrate=True).close()
    opened = Api(stack)
    opened.switch_on()
    opened.wait_for_last_night("data_retention")
    yield opened
    opened.client.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        path = browser.chromium()
    except LocalError as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(path), args=list(browser.ARGUMENTS))
        yield opened
        opened.close()


def log_in(chromium: Browser, stack: Stack, user: str) -> Page:
    page = chromium.new_context(viewport=DESK, base_url=stack.url).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(90 * SECONDS)
    expect.set_options(timeout=90 * SECONDS)
    page.goto("/")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", stack.passwords[user])
    page.click("button[type=submit]")
    expect(page.get_by_role("link", name="Dags", exact=True).first).to_be_visible()
    return page


def report_of(page: Page) -> Any:
    frame = page.frame_locator("iframe[title=Upkeep]")
    expect(frame.get_by_role("heading", level=1)).to_be_visible()
    return frame


def test_trigger_approve_read(chromium: Browser, stack: Stack, api: Api, tmp_path: Path) -> None:
    page = log_in(chromium, stack, "admin")
    page.goto("/dags/data_retention")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Targets")
    with page.expect_response(re.compile(r"/dags/data_retention/dagRuns$")) as triggered:
        dialog.get_by_role("button", name="Trigger").click()
    run_id = triggered.value.json()["dag_run_id"]
    assert api.wait_for_end("data_retention", run_id) == "success"

    page.goto(f"/dags/data_retention/runs/{quote(run_id, safe='')}")
    page.get_by_role("link", name="Upkeep", exact=True).last.click()  # the tab
    frame = report_of(page)
    expect(frame.locator("header")).to_contain_text("awaiting approval")
    expect(frame.locator(".lead")).to_contain_text("wait for you")
    copy_a_statement(page, frame)
    frame.get_by_role("link", name="the DAG run").click()
    page.wait_for_url(re.compile(f"/runs/{re.escape(quote(run_id, safe=''))}/?$"))
    page.get_by_role("link", name="Upkeep", exact=True).last.click()  # and back
    report_of(page).get_by_role("link", name="Look at it and answer").first.click()

    page.wait_for_url("**/approved_changes/**/required_actions")
    asked = re.search(r"/approved_changes/runs/([^/]+)/", page.url)
    assert asked
    expect(page.get_by_text("Statements:")).to_be_visible()
    expect(page.get_by_role("table").last).to_contain_text("public.import_batches")
    expect(page.get_by_role("link", name="the report of the run that planned it")).to_have_attribute(
        "href", re.compile(f"dags/data_retention/runs/{re.escape(quote(run_id, safe=''))}/plugin/upkeep$")
    )
    button = page.get_by_role("button", name="Approve")
    place = button.bounding_box()
    assert place
    assert place["y"] < 2 * DESK["height"], "the buttons are within reach"
    button.click()
    assert api.wait_for_end("approved_changes", asked.group(1)) == "success"

    page.goto(f"/dags/approved_changes/runs/{asked.group(1)}/plugin/upkeep")
    frame = report_of(page)
    expect(frame.locator("header")).to_contain_text("approval by admin")
    expect(frame.locator("#target-1")).to_contain_text("delete rows")
    expect(frame.locator("#target-1 .badge.good").first).to_be_visible()
    page.screenshot(path=tmp_path / "report.png")


def copy_a_statement(page: Page, frame: Any) -> None:
    """Copy by the button, as Airflow's frame allows it; and where the browser's clipboard is denied."""
    fold = frame.locator("#target-1 details:has(button.copy)").first
    fold.locator("summary").first.click()
    button, text = fold.locator("button.copy").first, fold.locator("pre").first.text_content()
    frames = [f for f in page.frames if "/upkeep/" in f.url]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button.click()
    expect(button).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == text
    expect(button).to_have_text("copy")
    page.evaluate("navigator.clipboard.writeText('')")
    frames[0].evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new DOMException('denied')); }")
    button.click()
    expect(button).to_have_text("copied")
    assert page.evaluate("navigator.clipboard.readText()") == text
    page.context.clear_permissions()


def make_due(stack: Stack) -> None:
    """Add batches that are older than their policy allows."""
    with psycopg.connect(stack.connections["pipeline_postgres"], autocommit=True) as connection:
        connection.execute(
            "insert into public.import_batches (started_at, finished_at, source, row_count) "
            "select now() - interval '90 days', now() - interval '89 days', 'late', n "
            "from generate_series(1, 2000) as n"
        )
        connection.execute("analyze public.import_batches")


def test_a_question_is_taken_back_when_a_newer_plan_comes(chromium: Browser, stack: Stack, api: Api) -> None:
    """It ends at once, and says by what: it neither waits for minutes nor counts as rejected."""
    make_due(stack)
    api.trigger("data_retention")
    first = api.open_question()
    make_due(stack)
    api.trigger("data_retention")
    assert api.wait_for_end("approved_changes", first) == "success"
    second = api.open_question()
    assert second != first
    (asked,) = api.get(f"/dags/approved_changes/dagRuns/{quote(first, safe='')}/hitlDetails")["hitl_details"]
    assert (asked["task_instance"]["state"], asked["response_received"]) == ("skipped", False)
    page = log_in(chromium, stack, "viewer")
    page.goto(f"/dags/approved_changes/runs/{quote(first, safe='')}/plugin/upkeep")
    frame = report_of(page)
    expect(frame.locator("header")).to_contain_text("superseded")
    expect(frame.locator("#target-1")).to_contain_text(f"by plan {second.split('.')[1]} of run")
    expect(frame.locator(".lead")).to_contain_text("nobody is asked about it any more")
    frame.get_by_role("link", name="the run of the newest plan").click()
    expect(frame.locator("header")).to_contain_text("awaiting approval")


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_the_report_fits_the_screen(chromium: Browser, stack: Stack, api: Api, viewport: dict[str, int]) -> None:
    newest = api.get("/dags/data_retention/dagRuns", order_by="-run_after", limit=1)["dag_runs"][0]["dag_run_id"]
    api.wait_for_end("data_retention", newest)
    page = log_in(chromium, stack, "viewer")
    outside: list[str] = []
    page.set_viewport_size(viewport)  # type: ignore[arg-type]
    # Airflow's own page, left a moment ago, may still start a worker from a blob: such an address reaches no host.
    page.on(
        "request", lambda r: outside.append(r.url) if not r.url.removeprefix("blob:").startswith(stack.url) else None
    )
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.goto(f"/upkeep/report/data_retention/{quote(newest, safe='')}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("data retention")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert outside == []
    assert [p for p in problems if "favicon" not in p] == []


def test_the_list_of_runs(chromium: Browser, stack: Stack, api: Api) -> None:
    page = log_in(chromium, stack, "viewer")
    page.goto("/plugin/upkeep_runs")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Runs")
    frame.locator("tbody a.name").first.click()
    expect(frame.get_by_role("heading", level=1)).to_contain_text(re.compile("partition creation|data retention"))


def test_the_page_of_the_fleet(chromium: Browser, stack: Stack, api: Api, tmp_path: Path) -> None:
    """It is a first-level entry, follows Airflow's theme, fits a phone, and leads on by mouse and by keyboard."""
    page = log_in(chromium, stack, "viewer")
    page.get_by_role("link", name="Upkeep", exact=True).click()
    page.wait_for_url("**/plugin/upkeep_fleet**")
    frame = page.frame_locator("iframe[title=Upkeep]")
    grounds = []
    for theme in ("light", "dark"):
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        page.goto("/plugin/upkeep_fleet")
        expect(frame.locator("h1.verdict")).to_contain_text(re.compile("need|known"))
        expect(frame.locator(f"html[data-theme={theme}]")).to_have_count(1)
        grounds.append(frame.locator("body").evaluate("body => getComputedStyle(body).backgroundColor"))
        page.screenshot(path=tmp_path / f"fleet-{theme}.png")
    assert grounds[0] != grounds[1]
    cell = frame.locator("a.cell").first
    cell.focus()
    cell.press("Enter")
    expect(frame.get_by_role("heading", level=1)).to_contain_text(re.compile("partition creation|data retention"))

    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.goto("/upkeep/fleet")
    expect(page.locator("h1.verdict")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=tmp_path / "fleet-phone.png", full_page=True)
    assert [p for p in problems if "favicon" not in p] == []

    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    page.goto("/plugin/upkeep_fleet")
    frame.get_by_role("link", name="data retention", exact=True).first.click()
    page.wait_for_url("**/dags/data_retention**")
    stranger = chromium.new_context(base_url=stack.url).new_page()
    stranger.goto("/upkeep/fleet")
    expect(stranger.get_by_role("heading", level=1)).to_have_text("You are not logged in")
