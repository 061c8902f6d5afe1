"""A real browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """The system's Chromium: skipped without one, a failure where CI=true promises it."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium is installed, and CI=true promises it")
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    root = ["--no-sandbox"] if Path("/proc/self").exists() and os.geteuid() == 0 else []  # it refuses root otherwise
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=root)
        yield browser
        browser.close()
