"""A build: a place in which stages are made, resumed and published.

What lies where is told in names.py; how a stage is made is stage_run.py's business.
"""

from pipeline.engine.manifest import read_manifest
from pipeline.engine.publish import add_file, remove_rows, take_back
from pipeline.engine.stage import Output, Stage
from pipeline.engine.stage_run import StageRun
from pipeline.engine.workplace import Workplace, unable


class Build(Workplace):
    """A workplace that makes stages. Use as a context manager."""

    def run(self, stage: Stage) -> Output:
        """Make the stage, or what is missing of it, and publish it; its output if it is there."""
        self.check_signals()
        try:
            return StageRun(self, stage).output()
        except OSError as error:
            raise unable(stage.name, error) from error

    def publish_file(self, stage: str, name: str, content: bytes) -> None:
        """Publish one of a stage's further files anew; one with the same content stays."""
        add_file(self.store, self.manifest(stage), name, content)

    def unpublish(self, name: str) -> None:
        """Make a published stage one that was interrupted: its parts can be taken over."""
        if manifest := read_manifest(self.store, name):
            take_back(self.store, manifest, [])

    def remove_rows(self, name: str) -> None:
        """Remove a published stage's tables, which are copies; its counts and drops stay."""
        if (manifest := read_manifest(self.store, name)) and not manifest.rows_gone:
            remove_rows(self.store, manifest)
