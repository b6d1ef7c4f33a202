"""Errors a user can act on: each says what, where, what was expected and the next step."""

__all__ = [
    "ConfigError",
    "DataError",
    "FewskinError",
    "ImageError",
    "LeakageError",
    "MissingExtra",
    "PluginError",
    "StageError",
    "TableError",
]


class FewskinError(Exception):
    """Base of all errors by input or set-up; the command line prints it and exits with 2."""


class ConfigError(FewskinError):
    """A key or value of a command, config or request is unknown or out of range."""


class DataError(FewskinError):
    """The data cannot give what was asked, for example too few patients in a class."""


class ImageError(FewskinError):
    """A file is not an image that can be decoded."""


class LeakageError(FewskinError):
    """A test row, or something made from one, would reach fitting, generation or training."""


class MissingExtra(FewskinError):  # noqa: N818 - reads as what it says
    """An optional package is absent; the message names the command that adds it."""


class PluginError(FewskinError):
    """A generator, learner or source does not exist or breaks its contract."""


class StageError(FewskinError):
    """A stage cannot run: a missing input, a foreign result folder, a full disk."""


class TableError(FewskinError):
    """A table breaks its schema; the message names the file and the row."""
