"""Settings of all tests."""

from __future__ import annotations

import signal

# A shell that starts the tests in the background lets them, and so every process that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

try:
    from hypothesis import settings
except ImportError:  # on a robot, where `colcon test` runs the smoke tests alone
    pass
else:
    pytest_plugins = ["made_data"]
    # No deadline: how long an example takes says something about the machine, not about the code.
    settings.register_profile("caer_ros", deadline=None)
    settings.load_profile("caer_ros")


def pytest_terminal_summary(terminalreporter):
    """How many reports nobody looked at; each skip stands in the short summary too."""
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if "NO BROWSER" in str(report.longrepr)]
    if skipped:
        told = f"SKIPPED: {len(skipped)} tests in a browser, as there is none; apt install chromium chromium-driver"
        terminalreporter.write_line(told, yellow=True, bold=True)
