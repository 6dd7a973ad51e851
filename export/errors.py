"""The one exception that the exporter raises for anything its user can mend."""


class ExportError(Exception):
    """Something the user can mend: the message is one line that says what is wrong and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
