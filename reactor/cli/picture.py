"""The graph of a workflow as lines of text and as an SVG picture, drawn from its description.

The picture is layered from left to right (Sugiyama, Tagawa and Toda, 1981): each step is one layer
right of the last step it waits for, an edge that passes layers gets a place in each, and layers are
ordered so that few edges cross.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from reactor.telemetry.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Description = dict[str, Any]

MARGIN = 24
ROW = 64
BOX_HEIGHT = 44
GAP = 56
HEADING = 52
CHARACTER = 7.6
SMALL_CHARACTER = 6.2
PADDING = 14
LONGEST_LABEL = 44
NARROWEST = 72
SWEEPS = 8
# Plain rules: renderers other than browsers know no CSS variables.
STYLE = """\
text { font-family: ui-sans-serif, system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
       font-size: 13px; text-anchor: middle; fill: #1c2430; }
text.name { font-size: 17px; font-weight: 600; text-anchor: start; }
text.faint { font-size: 11px; fill: #5d6b7e; }
text.left { text-anchor: start; }
.ground { fill: #ffffff; }
.step { fill: #f3f6fa; stroke: #c3cedb; }
.event { fill: #e4f3ec; stroke: #57a67f; }
.way { fill: none; stroke: #93a1b3; stroke-width: 1.5; }
.tip { fill: #93a1b3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e4eaf1; }
  text.faint { fill: #93a1b3; }
  .ground { fill: #12161c; }
  .step { fill: #1d2530; stroke: #3a4757; }
  .event { fill: #16302a; stroke: #3f8f6b; }
  .way { stroke: #5f6e80; }
  .tip { fill: #5f6e80; }
}"""


def tree_lines(steps: Sequence[Description]) -> list[tuple[str, str, str]]:
    """Return a line for each step: the stem before it, its name, and notes.

    A graph is no tree: a step stands below the last step it waits for, and names the others.
    """
    place = {step["name"]: index for index, step in enumerate(steps)}
    below: defaultdict[str | None, list[Description]] = defaultdict(list)
    for step in steps:
        below[max(step["upstream"], key=place.__getitem__, default=None)].append(step)
    lines: list[tuple[str, str, str]] = []
    # A stack and no recursion: a chain of steps may be longer than Python's.
    waiting = [("", step, step is below[None][-1]) for step in reversed(below[None])]
    while waiting:
        stem, step, is_last = waiting.pop()
        name = step["name"]
        parent = max(step["upstream"], key=place.__getitem__, default=None)
        others = [other for other in step["upstream"] if other != parent]
        notes = ([f"also after {', '.join(others)}"] if others else []) + step_notes(step)
        lines.append((stem + ("└─ " if is_last else "├─ "), name, ", ".join(notes)))
        inner = stem + ("   " if is_last else "│  ")
        children = below[name]
        waiting += [(inner, child, child is children[-1]) for child in reversed(children)]
    return lines


def step_notes(step: Description) -> list[str]:
    """Return what is out of the ordinary about a step."""
    notes = [] if step["executor"] == "loop" else [step["executor"]]
    if step["attempts"] > 1:
        notes.append(f"{step['attempts']} tries")
    if step["timeout"]:
        notes.append(f"≤ {step['timeout']}")
    return notes


@dataclass(slots=True)
class Node:
    """A box of the picture; without a label it is where a long edge passes a layer."""

    layer: int
    label: str = ""
    notes: str = ""
    title: str = ""
    kind: str = "step"
    before: list[Node] = field(default_factory=list)
    after: list[Node] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0


def draw_svg(graphs: Sequence[Description]) -> str:
    """Return one picture of all graphs, one below the other. Follows light and dark mode."""
    bodies: list[str] = []
    top, width = float(MARGIN), 0.0
    for graph in graphs:
        layers = _layers(graph)
        _order(layers)
        name = printable(graph["name"])
        notes = [graph["description"], graph["owner"]]
        about = printable(" · ".join(note for note in notes if note), longest=110)
        right, bottom = _place(layers, top + (HEADING if about else HEADING / 2))
        bodies += [
            _text(MARGIN, top + 16, name, "name"),
            _text(MARGIN, top + 36, about, "faint left"),
            *_edges(layers),
            *(_box(node) for layer in layers for node in layer if node.kind != "way"),
        ]
        heading = max(len(name) * 10.0, len(about) * SMALL_CHARACTER) + 2 * MARGIN
        width = max(width, right + MARGIN, heading)
        top = bottom + MARGIN
    size = f'viewBox="0 0 {width:.0f} {top:.0f}" width="{width:.0f}" height="{top:.0f}"'
    label = quoteattr(", ".join(printable(graph["name"]) for graph in graphs))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={label}>',
        f"<style>{STYLE}</style>",
        '<rect class="ground" width="100%" height="100%"/>',
        *bodies,
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _layers(graph: Description) -> list[list[Node]]:
    """Return the boxes by layer: triggers, then steps, with a place for each edge in each layer."""
    triggers = [
        Node(0, label=_short(trigger), title=trigger, kind="event") for trigger in graph["triggers"]
    ]
    steps: dict[str, Node] = {}
    for step in graph["steps"]:
        upstream = [steps[name] for name in step["upstream"]]
        node = Node(
            1 + max((before.layer for before in upstream), default=0),
            label=_short(step["name"]),
            notes=" · ".join(step_notes(step)),
            title=step["name"],
        )
        steps[step["name"]] = node
        node.before = upstream or list(triggers)
    nodes = [*triggers, *steps.values()]
    layers: list[list[Node]] = [[] for _ in range(1 + max(node.layer for node in nodes))]
    for node in nodes:
        layers[node.layer].append(node)
        node.before = [_lead(before, node, layers) for before in node.before]
    return layers


def _lead(before: Node, node: Node, layers: list[list[Node]]) -> Node:
    """Return the last place on the way from one node to another; make those that are between."""
    for layer in range(before.layer + 1, node.layer):
        passing = Node(layer, kind="way", before=[before])
        before.after.append(passing)
        layers[layer].append(passing)
        before = passing
    before.after.append(node)
    return before


def _order(layers: list[list[Node]]) -> None:
    """Order each layer by where its neighbours are, forth and back, so that few edges cross."""
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for layer in layers if forth else reversed(layers):
            _number(layers)
            layer.sort(key=lambda node: _middle(node.before if forth else node.after, node.y))
    _number(layers)


def _number(layers: Iterable[list[Node]]) -> None:
    for layer in layers:
        for index, node in enumerate(layer):
            node.y = index - (len(layer) - 1) / 2


def _middle(neighbours: Sequence[Node], otherwise: float) -> float:
    return sum(node.y for node in neighbours) / len(neighbours) if neighbours else otherwise


def _place(layers: Sequence[Sequence[Node]], top: float) -> tuple[float, float]:
    """Give each box its coordinates; return the right and the lower end of all."""
    height = max(len(layer) for layer in layers) * ROW
    left = float(MARGIN)
    for layer in layers:
        width = max(_width(node) for node in layer)
        for node in layer:
            node.x, node.width = left, width
            node.y = top + height / 2 + node.y * ROW
        left += width + GAP
    return left - GAP, top + height


def _width(node: Node) -> float:
    text = max(len(node.label) * CHARACTER, len(node.notes) * SMALL_CHARACTER)
    return 0.0 if node.kind == "way" else max(text + 2 * PADDING, NARROWEST)


def _edges(layers: Iterable[Iterable[Node]]) -> list[str]:
    return [_edge(way) for layer in layers for first in layer for way in _ways(first)]


def _ways(first: Node) -> list[list[Node]]:
    """Return the edges that begin at a box, each as all places from that box to the next one."""
    if first.kind == "way":
        return []
    ways = []
    for node in first.after:
        way = [first, node]
        while way[-1].kind == "way":
            way.append(way[-1].after[0])
        ways.append(way)
    return ways


def _edge(way: Sequence[Node]) -> str:
    x, y = way[0].x + way[0].width, way[0].y
    path = [f"M{x:.1f} {y:.1f}"]
    for node in way[1:]:
        tip = node.x - (6 if node.kind != "way" else 0)
        middle = (x + tip) / 2
        path.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {node.y:.1f} {tip:.1f} {node.y:.1f}")
        x, y = tip, node.y
        if node.kind == "way":
            x = node.x + node.width
            path.append(f"H{x:.1f}")
    head = f"M{x:.1f} {y - 4:.1f}l7 4l-7 4z"
    return f'<path class="way" d="{" ".join(path)}"/><path class="tip" d="{head}"/>'


def _box(node: Node) -> str:
    radius = BOX_HEIGHT / 2 if node.kind == "event" else 8
    corner = f'x="{node.x:.1f}" y="{node.y - BOX_HEIGHT / 2:.1f}"'
    size = f'width="{node.width:.1f}" height="{BOX_HEIGHT}" rx="{radius:g}"'
    middle = node.x + node.width / 2
    lower = -2 if node.notes else 4.5
    title = f"<title>{escape(printable(node.title))}</title>"
    return (
        f'<g>{title}<rect class="{node.kind}" {corner} {size}/>'
        + _text(middle, node.y + lower, node.label)
        + _text(middle, node.y + 13, node.notes, "faint")
        + "</g>"
    )


def _text(x: float, y: float, content: str, kind: str = "") -> str:
    if not content:
        return ""
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'


def _short(label: str) -> str:
    return printable(label, longest=LONGEST_LABEL)
