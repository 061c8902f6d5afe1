"""What the site needs beside its pages: files from outside docs/, under links that work in a clone, too."""

import re
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

OUTSIDE = ("SECURITY.md", "benchmarks/README.md", "benchmarks/results/*")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the files from outside, at the place that they have in the repository."""
    root = Path(config.config_file_path).parent
    for path in (path for pattern in OUTSIDE for path in sorted(root.glob(pattern))):
        files.append(File.generated(config, path.relative_to(root).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Take one step up from the links that leave docs/: on the site what lies beside it lies in it."""
    if page.file.generated_by:
        return markdown
    inside = "../" * page.file.src_uri.count("/")
    return markdown.replace(f"](../{inside}", f"]({inside}")


class Reading(griffe.Extension):
    """How mkdocstrings reads the source."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Show a docstring's `Example:` as code; only `Examples:` is known as such."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^Example:$(?=\n\s+>>>)", "Examples:", obj.docstring.value)

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Show of the command line's `Annotated[type, ...]` the type."""
        if str(attr.annotation).startswith("Annotated[") and isinstance(attr.annotation, griffe.ExprSubscript):
            attr.annotation = attr.annotation.slice.elements[0]
