#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Print and draw what bench.py has counted; as a program, several Linux side by side.

Usage: table.py BENCH.JSON...
"""

import json
import os
import subprocess
import sys

SIDES = ("stock", "pv")

PATHS = {"armed": "a programming that arms", "elided": "a programming that is elided",
         "event": "an interrupt, in the core"}


def number(value):
    """A figure in a column"""
    if value is None:
        return "-"
    if value == int(value) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if value >= 1 else f"{value:.3g}"


def ratio(stock, ours):
    """How much of the stock kernel's is left"""
    return f"{ours / stock:.3f}" if stock and ours is not None else "-"


def line(label, stock, ours):
    """A row, the ratio is last"""
    return (f"  {label:<38}{number(stock):>14}{number(ours):>14}"
            f"{ratio(stock, ours):>9}")


def print_machine(title, found):
    """The table of a machine"""
    print(f"\n{title}\n{'stock':>54}{'pv_timer':>14}{'ratio':>9}")
    if found["paths"]["armed"][0]:
        print("instructions, median")
        for name, label in PATHS.items():
            print(line(label, *found["paths"][name]))
    last = None
    for row in found["rows"]:
        if row["load"] != last:
            print(f"{row['load']}, per {row['unit']}")
        last = row["load"]
        print(line(row["what"], *(row[side] for side in SIDES)))
    sys.stdout.flush()


def print_cpus(found):
    """What a programming takes with several CPUs, beside what it takes with one"""
    some = [machine for name, machine in found.items() if name.startswith("tcg")]
    if len(some) < 2:
        return
    print(f"\nInstructions of a programming, sleeping{'stock':>18}{'pv_timer':>22}\n"
          f"{'':<24}" + f"{'arms':>12}{'mean':>10}{'ratio':>9}" * 2)
    for machine in some:
        text = f"{machine['cpus']:>4} CPU{'' if machine['cpus'] == 1 else 's':<16}"
        for index, side in enumerate(SIDES):
            mean, one = (each["loads"][side]["sleep"]["programming"]
                         for each in (machine, some[0]))
            text += (f"{number(machine['paths']['armed'][index]):>12}{mean:>10.2f}"
                     f"{ratio(one, mean):>9}")
        print(text)


def row_of(machine, load, what):
    """One row of a machine, None if it has none"""
    return next((row for row in machine["rows"]
                 if row["load"] == load and row["what"] == what), None)


def first_exits(machine, load):
    """The row of all that it has to ask its hypervisor for"""
    return next((row_of(machine, load, what) for what in machine["exits"]), None)


def pairs(found):
    """What is drawn: a title, and for some machines the stock kernel's figure and ours"""
    one = {name: machine for name, machine in found.items() if machine["cpus"] == 1}
    yield ("Instructions to arm the timer, median",
           {name: machine["paths"]["armed"] for name, machine in one.items()})
    for title, load, times in (("Exits for a sleep of 1 ms", "sleep", 1),
                               ("Exits for 1000 requests in a storm of timers", "storm",
                                1000)):
        rows = {name: first_exits(machine, load) for name, machine in one.items()}
        yield title, {name: [row[side] * times for side in SIDES]
                      for name, row in rows.items() if row}


PLOT = """set terminal svg noenhanced size 1500,520 background rgb "white" font "sans,13"
set output "{output}"
set multiplot layout 1,3 title "{title}" font "sans,16"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set boxwidth 0.95
set yrange [0:*]
set offsets 0, 0, graph 0.08, 0
set xrange [-0.6:*]
set border 1
unset ytics
set xtics nomirror scale 0 rotate by -25
set key outside bottom center horizontal
"""
PANEL = """$data{number} << EOD
{lines}
EOD
set title "{title}"
plot $data{number} using 2:xtic(1) title "stock" linecolor rgb "#b0b0b0", \\
     "" using 3 title "pv_timer" linecolor rgb "#2060c0", \\
     "" using ($0-0.17):2:4 with labels offset 0,0.6 font ",11" notitle, \\
     "" using ($0+0.17):3:5 with labels offset 0,0.6 font ",11" notitle
"""


def short(value):
    """A figure above a bar"""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def panel(index, title, figures):
    """The commands that draw one of the pictures"""
    lines = "\n".join(f"{name} {stock} {ours} {short(stock)} {short(ours)}"
                      for name, (stock, ours) in figures.items()
                      if stock is not None and ours is not None)
    return PANEL.format(number=index, lines=lines, title=title) if lines else ""


def draw(linux, found, directory):
    """Writes bench.svg. Return: its path"""
    output = os.path.join(directory, "bench.svg")
    title = f"What the timer costs a guest, Linux {linux} with one CPU: less is better"
    subprocess.run(["gnuplot"], check=True, text=True, input=PLOT.format(
        output=output, title=title) + "".join(
            panel(index, *each) for index, each in enumerate(pairs(found))))
    return output


def beside_rows(machine):
    """What several Linux are compared by: what, and its figures"""
    for name, label in PATHS.items():
        yield f"instructions, {label}", machine["paths"][name]
    for what in ("instructions in the kernel", *machine["exits"]):
        row = row_of(machine, "sleep", what)
        if row:
            yield f"{what.strip()}, per sleep", [row[side] for side in SIDES]


def print_beside(benches):
    """Each machine that all of them have, on each Linux"""
    print(f"\n{'':<44}" + "".join(
        f"{'stock ' + version:>14}{'pv_timer ' + version:>14}{'ratio':>9}"
        for version in (".".join(bench["linux"].split(".")[:2]) for bench in benches)))
    for name, machine in benches[0]["machines"].items():
        same = [bench["machines"][name] for bench in benches if name in bench["machines"]]
        if len(same) < len(benches):
            continue
        print(machine["title"])
        for rows in zip(*map(beside_rows, same), strict=True):
            print(f"  {rows[0][0]:<42}" + "".join(
                f"{number(stock):>14}{number(ours):>14}{ratio(stock, ours):>9}"
                for _, (stock, ours) in rows))


def main():
    benches = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            benches.append(json.load(file))
    print_beside(benches)


if __name__ == "__main__":
    main()
