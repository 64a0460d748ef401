"""Builds the extension and the program with `swift build`: Package.swift is the one description of the build.

Everything else about the package stands in pyproject.toml.
"""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


class SwiftBuild(build_ext):
    """Has SwiftPM build what the package consists of, and puts it where setuptools expects it."""

    def build_extension(self, extension: Extension) -> None:
        environment = dict(os.environ, ROOST_PYTHON_HEADERS=sysconfig.get_paths()["include"])
        build = ["swift", "build", "-c", "release", "--package-path", str(ROOT)]
        for product in ("RoostPython", "roost"):
            subprocess.run([*build, "--product", product], cwd=ROOT, env=environment, check=True)
        shown = subprocess.run([*build, "--show-bin-path"], cwd=ROOT, env=environment, check=True, capture_output=True)
        products = Path(shown.stdout.decode().strip())

        target = Path(self.get_ext_fullpath(extension.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.place(products / "libRoostPython.so", target)
        self.place(products / "roost", target.with_name("roost-program"))

    def place(self, source: Path, target: Path) -> None:
        """Copies a product without its symbols, which are three times its size."""
        target.unlink(missing_ok=True)
        shutil.copy2(source, target)
        if strip := shutil.which("strip"):
            subprocess.run([strip, "--strip-unneeded", target], check=True)


setup(
    ext_modules=[Extension("roost._core", sources=[], py_limited_api=True)],
    cmdclass={"build_ext": SwiftBuild},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
