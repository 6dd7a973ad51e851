"""The one exception that the exporter raises for anything its user can mend."""

LONGEST_MESSAGE = 1000


class ExportError(Exception):
    """Something the user can mend: the message is one line that says what is wrong and what to do.

    Names out of a damaged or hostile file may end up in it, so that what a terminal would obey is replaced.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())[:LONGEST_MESSAGE]
        super().__init__("".join(character if character.isprintable() else "?" for character in line))
