"""What a capture found, as a tree for people: text and HTML.

Values are never shown, only names, types and sizes; a string that looks like a secret is named,
not printed. Pure.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Literal

from jupyter_faas.core.model import Value

Level = Literal["ok", "note", "error"]

_LABEL_WIDTH, _TYPE_WIDTH = 19, 17
_MARKS = {"ok": "", "note": "!", "error": "✕"}


class Node(Value, kw_only=True):
    """One captured thing."""

    label: str
    type: str = ""
    note: str = ""
    """Size, how it travels, or what is wrong."""
    level: Level = "ok"
    size_bytes: int | None = None
    children: tuple[Node, ...] = ()


class Report(Value, kw_only=True):
    """The capture report of one function.

    Attributes:
        name: Of the function.
        nodes: What is captured; worst first.
        advice: Sentences: what to do about what is wrong, and what to know.
        missing: Modules that cannot be found here.
        unset: Environment variables the function reads and will not have.
        secrets: Names of captured strings that look like secrets.
        large: Names of objects whose change in place is not noticed.
        size_bytes: Of the whole package; 0 if it cannot be sent.
        is_sendable: Nothing stands in the way of sending it.
    """

    name: str
    nodes: tuple[Node, ...] = ()
    advice: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    large: tuple[str, ...] = ()
    size_bytes: int = 0
    is_sendable: bool = True

    @property
    def needs_attention(self) -> bool:
        """Whether it should be shown before anything is sent."""
        return not self.is_sendable or any(node.level != "ok" for node in self.nodes)

    @property
    def title(self) -> str:
        """First line: `score cannot be sent`, or its name and size."""
        if not self.is_sendable:
            return f"{self.name} cannot be sent"
        return f"{self.name}  ·  {size_text(self.size_bytes)}"

    def text(self) -> str:
        """Return the tree as plain text."""
        rows = [(prefix + node.label, node) for prefix, node in _rows(self.nodes, "")]
        label_width = max(_LABEL_WIDTH, *(len(label) for label, _ in rows), 0)
        type_width = max(_TYPE_WIDTH, *(len(node.type) for _, node in rows), 0)
        lines = [f" {self.title}"]
        for label, node in rows:
            columns = f" {label:<{label_width}}  {node.type:<{type_width}}  {note_text(node)}"
            lines.append(columns.rstrip())
        lines += [f" {sentence}" for sentence in self.advice]
        return "\n".join(lines)

    def html(self) -> str:
        """Return the tree as HTML; everything that came from the notebook is escaped."""
        lines = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.advice)
        tree = _html_list(self.nodes)
        return (
            f'<div class="jp-faas-capture"><strong>{html.escape(self.title)}</strong>{tree}{lines}'
            "</div>"
        )

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


def size_text(size_bytes: int) -> str:
    """Return `512 B`, `1.2 kB`, `98 MB`."""
    size, unit = float(size_bytes), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    if unit == "B":
        return f"{size_bytes} B"
    return f"{size:.1f} {unit}" if size < 10 else f"{size:.0f} {unit}"


def note_text(node: Node) -> str:
    """Return the last column of a node: mark, size, note."""
    size = "" if node.size_bytes is None else size_text(node.size_bytes)
    mark = _MARKS[node.level] if node.level == "note" else ""
    return "  ".join(part for part in (size, mark, node.note) if part)


def _rows(nodes: tuple[Node, ...], indent: str) -> Iterator[tuple[str, Node]]:
    for at, node in enumerate(nodes):
        is_last = at == len(nodes) - 1
        yield indent + ("└─ " if is_last else "├─ "), node
        yield from _rows(node.children, indent + ("   " if is_last else "│  "))


def _html_list(nodes: tuple[Node, ...]) -> str:
    if not nodes:
        return ""
    items = "".join(
        f'<li class="jp-faas-{node.level}"><code>{html.escape(node.label)}</code> '
        f"<em>{html.escape(node.type)}</em> {html.escape(note_text(node))}"
        f"{_html_list(node.children)}</li>"
        for node in nodes
    )
    return f"<ul>{items}</ul>"
