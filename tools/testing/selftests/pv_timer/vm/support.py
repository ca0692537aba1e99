#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Write the table of targets in README.md, from the last result of each mode.

Usage: support.py [--check] README BUILD...

Each BUILD is that of one Linux, and a column. With --check nothing is written, and the
table has to name the targets as they are.
"""

import json
import os
import re
import sys
import time

from targets import TARGETS

NAME = "results.json"
BLOCK = re.compile(r"(<!-- support: begin -->\n)(.*)(<!-- support: end -->\n)", re.S)


def read(directory):
    """The results of a target, by mode"""
    try:
        with open(os.path.join(directory, NAME), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def remember(directory, runs, image):
    """Keep what came of each run of tests for the table"""
    results = read(directory)
    for run in runs:
        if run.name.startswith("report-"):
            continue
        results[run.name] = {**(run.verdict or {}), "reason": run.reason, "image": image,
                             "date": time.strftime("%F")}
    with open(os.path.join(directory, NAME), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


def cell(results):
    """One Linux of one target"""
    if not results:
        return "not run"
    bad = [mode for mode, result in results.items() if result["reason"]]
    plan, skipped = (sum(int(result.get(key, 0)) for result in results.values())
                     for key in ("plan", "skip"))
    modes = f"{len(results)} mode{'s' if len(results) > 1 else ''}"
    return (f"FAIL in {', '.join(bad)} of {modes}" if bad else
            f"{plan - skipped} pass, {skipped} skipped, {modes}")


def facts(target):
    """The columns that no run changes"""
    return f"| `{target.name}` | {target.title} | {target.backend} | {target.cpus} |"


def table(columns):
    """@columns: title and directory of results of each Linux"""
    yield "| target | hypervisor | backend | CPUs | " + " | ".join(columns) + " |"
    yield "|---" * (4 + len(columns)) + "|"
    for target in TARGETS.values():
        cells = (cell(read(os.path.join(path, target.name))) for path in columns.values())
        yield f"{facts(target)} {' | '.join(cells)} |"
    dates = [result["date"] for path in columns.values() for target in TARGETS
             for result in read(os.path.join(path, target)).values()]
    yield f"\nThe oldest of these results is of {min(dates)}."


def versions(builds):
    """The titles of the columns"""
    columns = {}
    for build in builds:
        path = os.path.join(build, "vm")
        found = {result["linux"] for target in TARGETS
                 for result in read(os.path.join(path, target)).values() if "linux" in result}
        if found:
            columns[f"Linux {', '.join(sorted(found))}"] = path
    return columns


def main():
    """Usage: support.py [--check] README BUILD..."""
    args = sys.argv[1:]
    check = args[:1] == ["--check"]
    readme, *builds = args[check:] or [""]
    if not readme or check == bool(builds):
        sys.exit(f"{main.__doc__}\n\n{__doc__}")
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    block = BLOCK.search(text)
    if not block:
        sys.exit(f"support.py: {readme} has no table of targets")
    if check:
        rows = [row[0] for row in re.finditer(r"^\| `([^|]*\|){4}", block[2], re.M)]
        if rows != [facts(target) for target in TARGETS.values()]:
            sys.exit(f"support.py: the table in {readme} does not name the targets of "
                     "targets.py, 'make readme' writes it")
        return
    columns = versions(builds)
    if not columns:
        sys.exit("support.py: nothing was run yet, say 'make vm T=kvm' first")
    rows = "".join(f"{row}\n" for row in table(columns))
    with open(readme, "w", encoding="utf-8") as file:
        file.write(text[:block.start()] + block[1] + rows + block[3] + text[block.end():])


if __name__ == "__main__":
    main()
