"""What the forms' ruled lines do to the comparison: models 1 and 5 on FaxOCR with the lines left in, and removed.

python docs/paper/form_lines.py STUDY

STUDY is the folder of `mizumashi study mnist --target faxocr --seeds 6`.
"""

import sys
from pathlib import Path

import numpy as np
from compare import interval

import mizumashi as mz
from mizumashi.data.catalog import find
from mizumashi.data.folders import list_image_files
from mizumashi.data.image_files import read_image
from mizumashi.data.preprocess import fit, foreground


def main() -> None:
    """Print one line for each treatment."""
    mnist, removed = mz.open_images("mnist"), mz.open_images("faxocr")
    paths = list_image_files(find("faxocr")).paths
    pixels = np.stack([np.rint(255 * fit(foreground(read_image(path)))) for path in paths]).astype(np.uint8)
    left_in = mz.LabelledImages.from_arrays(pixels, removed.labels, removed.class_names, "lines left in")
    runs = sorted((Path(sys.argv[1]) / "runs").iterdir())
    by_seed = []
    for run in runs:
        last = max((run / "sets").iterdir(), key=lambda path: int(path.stem.removeprefix("gan@")))
        accuracy, _ = mz.evaluate([mnist, mz.open_images(last)], [left_in, removed], seeds=3)
        by_seed.append(accuracy.mean(axis=2))
    for column, name in enumerate(("left in", "removed")):
        real, generated = np.array(by_seed)[:, :, column].T
        print(f"lines {name}: model 1 {real.mean():.3f}, model 5 {generated.mean():.3f}: {interval(generated - real)}")


if __name__ == "__main__":
    main()
