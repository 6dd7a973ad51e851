"""The command line: arguments, what is told, and how a command ends."""

from .main import main

__all__ = ["main"]
