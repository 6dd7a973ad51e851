"""Maps the folders of a checkout to what is installed: one package, `slimserve`, and the shim `export`."""

from pathlib import Path

from setuptools import setup

ROOMS = {"slimserve": "client", "slimserve.export": "export", "slimserve.serving_config": "serving_config"}


def packages(name: str, folder: str) -> list[str]:
    """Every package below the folder, under its installed name."""
    inits = Path(folder).rglob("__init__.py")
    return [".".join([name, *init.parent.relative_to(folder).parts]) for init in inits]


setup(
    packages=["export", *(package for room in ROOMS.items() for package in packages(*room))],
    package_dir={"export": "installed/export", **ROOMS},
)
