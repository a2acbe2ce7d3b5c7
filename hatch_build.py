"""Compiles pipeline/documents/blocks/*.c when a wheel is built or the checkout is installed.

Without a compiler the package is whole all the same: its twins in Python do the work.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.errors import CCompilerError, ExecError, PlatformError

MODULE = "pipeline.documents.blocks.compiled"
NAMES = ("compiled", "names", "nodes", "readable", "segment", "tables", "tags")
HEADERS = ["pipeline/documents/blocks/blocks.h"]
SOURCES = [f"pipeline/documents/blocks/{name}.c" for name in NAMES]


class Hook(BuildHookInterface):  # type: ignore[misc]
    """Adds the compiled module to what is built, if it can be made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile beside the source: a checkout is used from there."""
        if self.target_name != "wheel":
            return
        # A product and a sum that are rounded once (on ARM by default) have other last bits.
        flags = [] if sys.platform == "win32" else ["-ffp-contract=off"]
        extension = Extension(
            MODULE, SOURCES, depends=HEADERS, extra_compile_args=flags, py_limited_api=True
        )
        command = Distribution({"ext_modules": [extension]}).get_command_obj("build_ext")
        command.ensure_finalized()
        command.inplace = True
        command.build_temp = str(Path(self.root, "build", "compiled"))
        try:
            command.run()
        except (CCompilerError, ExecError, PlatformError) as error:
            self.app.display_warning(f"webtext goes without {MODULE}, and is slower: {error}")
            return
        made = Path(command.get_ext_fullpath(MODULE)).relative_to(self.root)
        build_data["artifacts"].append(made.as_posix())
        build_data["pure_python"] = False
        build_data["tag"] = self._tag()

    def _tag(self) -> str:
        """Of the stable ABI from Python 3.11 on, on this platform."""
        from packaging.tags import sys_tags

        platform = next(iter(sys_tags())).platform
        return f"cp311-abi3-{platform}"
