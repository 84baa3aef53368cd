"""The tables of the modules' pages, made from their variables and outputs.

    python pages.py           fails where a page is out of date
    python pages.py --write   writes them anew

Needs the module hcl2, which comes with checkov (requirements.txt).
"""

import json
import re
import sys
from pathlib import Path

import hcl2

MODULES = Path(__file__).parent.parent / "modules"
TABLES = re.compile(r"(<!-- interface:begin -->).*(<!-- interface:end -->)", re.DOTALL)
# hcl2 hands expressions out as strings with ${…} around each part.
PART = re.compile(r"""(['"])\$\{((?:(?!\$\{).)*?)\}\1""", re.DOTALL)


def blocks(module, kind):
    """Blocks of one kind in all files of a module, as (name, body), in their order."""
    for file in sorted(module.glob("*.tf")):
        with file.open() as text:
            for block in hcl2.load(text).get(kind, []):
                yield from block.items()


def only(body, name):
    """An attribute's value: hcl2 puts every one into a list."""
    return body[name][0] if name in body else None


def shown_type(kind):
    kind = kind.removeprefix("${").removesuffix("}")
    while PART.search(kind):
        kind = PART.sub(r"\2", kind)
    kind = re.sub(r"'(\w+)': ", r"\1 = ", kind).replace("object({", "object({ ").replace("})", " })")
    kind = re.sub(r",(?=\S)", ", ", kind)
    return kind.replace("{ }", "{}").replace("True", "true").replace("False", "false").replace('\\\\"', '"').replace('\\"', '"')


def cell(text):
    return text.replace("|", "\\|").replace("<", "\\<").replace("$${", "${").replace('\\"', '"')


def interface(module):
    lines = ["| Input | Type | Default | |", "|---|---|---|---|"]
    for name, body in blocks(module, "variable"):
        default = f"`{json.dumps(only(body, 'default'))}`" if "default" in body else "required"
        kind, what = shown_type(only(body, "type")), only(body, "description")
        lines.append(f"| `{name}` | `{cell(kind)}` | {cell(default)} | {cell(what)} |")
    lines += ["", "| Output | |", "|---|---|"]
    lines += [f"| `{name}` | {cell(only(body, 'description'))} |" for name, body in blocks(module, "output")]
    return "\n".join(lines)


def main():
    stale = []
    for page in sorted(MODULES.glob("*/README.md")):
        text = page.read_text()
        wanted = TABLES.sub(lambda found: f"{found[1]}\n\n{interface(page.parent)}\n\n{found[2]}", text)
        if wanted != text:
            stale.append(page)
        if "--write" in sys.argv:
            page.write_text(wanted)
    if stale and "--write" not in sys.argv:
        sys.exit(f"out of date: {', '.join(map(str, stale))}; write them anew with terraform/tests/pages.py --write")


if __name__ == "__main__":
    main()
