"""The command line ``caer``: a folder for each family of commands, and what they share."""

from caer_ros.cli.command_line import main

__all__ = ["main"]
