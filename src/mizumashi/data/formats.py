"""The names of formats and preprocessings, apart from their code: the command line needs no more."""

from typing import Literal

Format = Literal["idx", "idx.gz", "folder", "npz", "parquet", "webdataset"]
Preprocess = Literal["mnist-style"]
