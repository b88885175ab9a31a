"""``python -m caer_ros.cli`` is ``caer``."""

import sys

from caer_ros.cli.command_line import main

sys.exit(main())
