"""`python -m client` in a checkout: the client's verbs; `python -m slimserve` where it is installed: all verbs."""

import sys

if __name__ == "__main__":
    if __package__ == "slimserve":
        from .cli.command import main

        sys.exit(main(prog="python -m slimserve"))
    else:
        from .cli.main import main

        sys.exit(main())
