"""Run the code of lessons, and compare what it prints with what the page shows below it.

Run it with:  python run.py [PAGE ...] [--write]

With --write what the code prints is written into the page, after a change of the code.
"""

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = re.compile(r"^```python[^\n]*\n(?P<code>.*?)^```\n(?P<shown>\n```(?:text|mermaid)\n.*?^```\n)?", re.M | re.S)


def shown(printed: str) -> str:
    """What a page shows below the code that printed this: a block of text, or the drawing that it is."""
    if not printed:
        return ""
    return f"\n{printed}" if printed.startswith("```mermaid\n") else f"\n```text\n{printed}```\n"


def run(page: Path) -> str:
    """The page as it should be: each block of code followed by what it prints."""
    names: dict[str, object] = {}

    def replaced(block: re.Match[str]) -> str:
        line = text[: block.start("code")].count("\n")
        code = compile("\n" * line + block["code"], str(page), "exec")  # so that errors name the line of the page
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, names)
        return block[0][: block.end("code") - block.start()] + "```\n" + shown(printed.getvalue())

    text = page.read_text(encoding="utf-8")
    return PYTHON.sub(replaced, text)


def main() -> None:
    """Run the pages named on the command line, or all; the exit status is 1 if one does not show what it prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, help="the pages; by default all of them")
    parser.add_argument("--write", action="store_true", help="write what the code prints into the pages")
    arguments = parser.parse_args()
    different = []
    for page in arguments.pages or sorted(HERE.glob("[0-9]*.md")):
        result = run(page)
        if result != page.read_text(encoding="utf-8"):
            different.append(page.name)
            if arguments.write:
                page.write_text(result, encoding="utf-8")
    print("different:" if different else "all pages show what their code prints", *different)
    sys.exit(bool(different) and not arguments.write)


sys.path.insert(0, str(HERE))  # where checker.py is
if __name__ == "__main__":
    main()
