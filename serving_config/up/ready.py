"""The ready line of `up`, the same whichever engine serves."""

import json
from collections.abc import Mapping, Sequence


def announce(engine: str, address: str, models: Mapping[str, Sequence[int]], as_json: bool) -> None:
    """Print one line per version, or one JSON object, that says what answers where.

    Args:
        engine: embedded, docker or binary.
        address: HOST:PORT.
        models: the versions that are AVAILABLE, by model.
    """
    if as_json:
        facts = {"ready": True, "engine": engine, "address": address, "models": models}
        print(json.dumps(facts), flush=True)
        return
    for name, versions in sorted(models.items()):
        for version in versions:
            print(f"ready: {name} version {version} on {address}", flush=True)
