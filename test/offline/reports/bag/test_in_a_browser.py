"""The report of a bag, opened from disk in Debian's chromium as somebody would: `apt install chromium chromium-driver`.

Without the two everything here is skipped, and the summary of the tests says so.
"""

from __future__ import annotations

import json
import shutil

import pytest
from offline.evaluation import made_evaluation
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from caer_ros.offline.reports.bag import headline
from caer_ros.offline.reports.bag.bag_report import html

pytestmark = pytest.mark.timeout(120)

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # a container's root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
WIDE, NARROW = 1280, 420


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return made_evaluation.recorded(made_evaluation.record(tmp_path_factory.mktemp("made") / "recording"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("NO BROWSER: the report is not looked at; apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options, webdriver.ChromeService(driver))
    running.set_page_load_timeout(60)
    yield running
    running.quit()


@pytest.fixture(scope="module")
def opened(browser, made, tmp_path_factory):
    """The browser with the report as it was opened, and what it logged meanwhile."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html(made.result, made.joined, made.pictures), "utf-8")
    browser.get("about:blank")  # a new browser's own page is gone, and its log taken
    browser.get_log("performance")
    browser.get(path.as_uri())
    return browser, browser.get_log("browser"), browser.get_log("performance")


@pytest.fixture
def report(opened):
    """The report on a wide page, at its top, with nothing pointed at."""
    browser = opened[0]
    resize(browser, WIDE)
    browser.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    return browser


def resize(browser, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def lanes(browser):
    return browser.find_elements(By.CSS_SELECTOR, ".frames")


def card(browser):
    """What is shown of a frame; None while nothing is."""
    shown = browser.find_element(By.ID, "card")
    return shown if shown.is_displayed() else None


def leave(browser):
    """Take pointer and focus away from the timelines, wherever another test left them; nothing is shown then."""
    browser.execute_script("document.activeElement.blur()")
    ActionChains(browser).move_to_element(browser.find_element(By.TAG_NAME, "h1")).perform()
    wait(browser).until(lambda browser: card(browser) is None)


def wait(browser):
    return WebDriverWait(browser, 10)


def said(browser, part):
    return card(browser).find_element(By.CLASS_NAME, part).text


def has_picture(browser):
    picture = browser.find_element(By.CSS_SELECTOR, "#card img")
    return browser.execute_script("return arguments[0].complete && arguments[0].naturalWidth > 0", picture)


def test_the_headline_numbers_are_the_results(report, made):
    shown = [
        tuple(figure.find_element(By.TAG_NAME, tag).text for tag in ("strong", "span", "small"))
        for figure in report.find_elements(By.CLASS_NAME, "figure")
    ]
    expected = headline.numbers(made.result)
    assert shown == [(f"{figure.value}{figure.unit}", figure.name, figure.beside) for figure in expected]
    assert shown[0][0] == f"{100 * made.result.evaluation.oer.mean_average_precision:.2f}%"
    assert report.title == made.result.title
    assert report.find_element(By.CSS_SELECTOR, ".manner").text == "as recorded"


def test_nothing_goes_wrong_and_nothing_is_fetched(opened):
    _, console, performance = opened
    assert console == []
    messages = [json.loads(entry["message"])["message"] for entry in performance]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    assert any(url.endswith("/report.html") for url in asked)  # the log does log
    assert [url[:60] for url in asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1


def test_every_picture_is_whole(report):
    broken = report.execute_script(
        "return [...document.images].filter((i) => i.hasAttribute('src') && !i.naturalWidth).length"
    )
    assert broken == 0
    assert len(report.find_elements(By.CSS_SELECTOR, ".plots img")) == 9
    assert report.find_elements(By.CSS_SELECTOR, ".errors figure img")


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_is_not_wider_than_its_window(report, width):
    resize(report, width)
    inner, beyond = report.execute_script(
        "return [innerWidth, document.documentElement.scrollWidth - document.documentElement.clientWidth]"
    )
    assert (inner, beyond) == (width, 0)
    outside = report.execute_script(
        """return [...document.querySelectorAll("section, .figure, .plots > div, .band, figure, nav a")]
        .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5).map((e) => e.className || e.tagName)"""
    )
    assert outside == []


def test_pointing_at_a_frame_shows_the_person_and_what_was_said(report, made):
    leave(report)
    (changing, *_) = lanes(report)
    # In the middle of the last of 60 frames: the second emotion.
    width = changing.size["width"]
    ActionChains(report).move_to_element_with_offset(changing, round(width * (59.5 / 60 - 0.5)), 0).perform()
    wait(report).until(card)
    assert said(report, "when").endswith("frame 60 of 60")
    first = made.joined.samples[-1]
    (label,) = first.emotions[0].nonzero()[0]
    assert said(report, "true") == f"true {made.result.model.labels[label]}"
    assert said(report, "told").startswith("said ")
    assert wait(report).until(has_picture)
    leave(report)


def test_a_missed_person_is_called_missed(report, made):
    missed = lanes(report)[2]
    width = missed.size["width"]
    ActionChains(report).move_to_element_with_offset(missed, round(width * (20.5 / 60 - 0.5)), 0).perform()
    wait(report).until(card)
    assert said(report, "told") == "said missed"


def test_the_arrow_keys_step_through_the_frames(report):
    first = lanes(report)[0]
    report.execute_script("arguments[0].scrollIntoView({block: 'center'})", report.find_element(By.TAG_NAME, "nav"))
    links = report.find_elements(By.CSS_SELECTOR, "nav a")
    report.execute_script("arguments[0].focus()", links[-1])
    links[-1].send_keys(Keys.TAB)
    assert report.switch_to.active_element == first
    wait(report).until(card)
    first.send_keys(Keys.HOME)
    assert "frame 1 of 60" in said(report, "when")
    first.send_keys(Keys.ARROW_RIGHT)
    assert "frame 2 of 60" in said(report, "when")
    assert first.get_attribute("aria-valuenow") == "1"
    assert "frame 2 of 60" in first.get_attribute("aria-valuetext")
    first.send_keys(Keys.END)
    assert "frame 60 of 60" in said(report, "when")
    first.send_keys(Keys.ESCAPE)
    assert card(report) is None


def test_a_finger_shows_a_frame_and_the_card_stays_on_the_page(report):
    resize(report, NARROW)
    first = lanes(report)[0]
    report.execute_script("arguments[0].scrollIntoView({block: 'center'})", first)
    box = report.execute_script("return arguments[0].getBoundingClientRect().toJSON()", first)
    at = {"x": box["right"] - 3, "y": box["top"] + box["height"] / 2}
    report.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    report.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    shown = wait(report).until(card)
    assert "frame 60 of 60" in said(report, "when")
    where = shown.rect
    assert where["x"] >= 0
    assert where["x"] + where["width"] <= NARROW


def test_it_prints(report):
    printed = report.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(printed["data"]) > 10_000
