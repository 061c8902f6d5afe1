"""The numbers of a finished study, from its files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mizumashi import files
from mizumashi.errors import InputError
from mizumashi.measure.distances import TwoSample
from mizumashi.studies.cell import Cell


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Args:
        path: the study's folder.
        plan: what was done, as plan.json has it.
        cells: every cell.
        distances: for each seed and stage, how well generated images are told from real ones.

    Shapes: R recipes, T test sets, S seeds.
    """

    path: Path
    plan: dict[str, Any]
    cells: tuple[Cell, ...]
    distances: dict[str, dict[str, TwoSample]]

    @classmethod
    def read(cls, path: str | Path) -> "StudyResult":
        """Read STUDY/results.json.

        Raises:
            InputError: the folder holds no finished study.
        """
        folder = Path(path)
        if not (folder / "results.json").is_file():
            raise InputError(
                f"found no finished study in {folder}; expected results.json; "
                "`mizumashi study IMAGES --out STUDY` makes it, or finishes one that was stopped"
            )
        results = files.read_json(folder / "results.json")
        with files.expect_undamaged(folder / "results.json", "the study's command writes it again"):
            cells = tuple(Cell.from_json(cell) for cell in results["cells"])
            distances = {
                seed: {stage: TwoSample(**told) for stage, told in stages.items()}
                for seed, stages in results["distances"].items()
            }
            found = cls(folder, results["plan"], cells, distances)
            _ = found.tests, found.target, found.accuracy
            _ = [[distances[str(seed)][stage] for stage in found.stages] for seed in found.seeds]
        return found

    @property
    def recipes(self) -> list[str]:
        """The recipes, in the plan's order."""
        return list(self.plan["recipes"])

    @property
    def stages(self) -> list[str]:
        """The generated sets, in the order of training."""
        return [f"gan@{step}" for step in self.plan["gan"]["snapshots"]]

    @property
    def tests(self) -> list[str]:
        """The test sets: the source's, each stage's, and the target where there is one."""
        return list(self.cells[0].scores)

    @property
    def target(self) -> str | None:
        """The target's name."""
        return self.plan["target"]["name"] if self.plan["target"] else None

    @property
    def seeds(self) -> list[int]:
        """The seeds of the GANs."""
        return sorted({cell.seed for cell in self.cells})

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """R x T x S, in 0 ... 1: the mean over the classifiers of a seed."""
        return self._numbers("accuracy")

    @property
    def loss(self) -> NDArray[np.float64]:
        """R x T x S, in nats: the mean over the classifiers of a seed."""
        return self._numbers("loss")

    def _numbers(self, what: str) -> NDArray[np.float64]:
        found = np.zeros((len(self.recipes), len(self.tests), len(self.seeds)))
        for cell in self.cells:
            place = self.recipes.index(cell.recipe), slice(None), self.seeds.index(cell.seed)
            found[place] += [getattr(cell.scores[test], what) for test in self.tests]
        found /= self.plan["classifier_seeds"]
        return found
