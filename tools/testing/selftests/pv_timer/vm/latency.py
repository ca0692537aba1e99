# SPDX-License-Identifier: GPL-2.0
"""How late wake-ups are, by the device that pv_timer replaces and by pv_timer.

pv_timer_latency measures in the guest. The boots of the two take turns, so that what else
happens on this machine is seen by both. A target that can be emulated by the number of its
instructions is booted so as well, with one CPU: that has to repeat to the nanosecond.
"""

import json
import os
import subprocess
import time
from itertools import chain

from compare import without_pv_timer
from hosts import FAR, NO_ENTROPY, boot_on_kvm, icount, kvm_works
from report import Report, print_histogram
from verdict import FAIL, PASS, Run, digest, expect, judge

SIDES = ("old", "pv_timer")

# Where the time of a wake-up goes, as pv_timer_split has it
PARTS = ("delivery", "interrupt", "thread")

# How often each of them is booted, and the seconds that a boot may take
BOOTS = 2
LIMIT = 600

# By the number of instructions, each takes 16 ns
EXACT = ("-cpu", f"max,{NO_ENTROPY}", "-smp", "1", *icount(1, shift=4))

# Of a thousand, what is shown of the samples of each way to wait
SHOWN = {"p50": 500, "p99": 990, "p99.9": 999, "max": 1000}

# Points of a curve in the picture
POINTS = 300


def old_side(target, opts, cpus):
    """What ticks without pv_timer: the same kernel if it has the device, else a stock one"""
    if target.off:
        return opts, f"pv_timer=off {expect(cpus, target.off, 'none', 'present')}"
    wanted = expect(cpus, target.stock.replace(" ", "_"), "none", "present")
    return without_pv_timer(opts), f"{wanted} pvt.mode={target.stock_mode}"


def our_side(target, opts, cpus):
    """What ticks with it, which may be broken"""
    backend = f"broken-{opts.broken}" if opts.broken else target.backend
    choice = f"pv_timer={backend} " if opts.broken else ""
    return opts, choice + expect(cpus, "pv_timer", backend, "absent")


def keeps_time(target, opts):
    """Is it the timer if something is late? Emulation in real time may be late itself"""
    return getattr(target.boot, "func", None) is boot_on_kvm and kvm_works(opts)


def plan(target, opts, exact):
    """The boots in turn, and the options of each"""
    cpus = 1 if exact else target.cpus
    emulated = "" if exact or keeps_time(target, opts) else "pvt.emulated=yes "
    both = old_side(target, opts, cpus), our_side(target, opts, cpus)
    for number in range(1, BOOTS + 1):
        for side, (with_images, wanted) in zip(SIDES, both):
            append = f"{wanted} pvt.do=latency {emulated}{opts.append}".strip()
            run = Run(f"{side}-{number}", append)
            if exact:
                run = Run(f"{side}-exact-{number}", f"{FAR} {append}", EXACT, far=True)
            yield with_images, run


def boot_all(target, opts, outdir, say, exact):
    """Return: the runs, their verdict line and status, and the accelerator"""
    planned = list(plan(target, opts, exact))
    if target.off:
        groups = [(opts, [run for _, run in planned])]
    else:
        groups = [(with_images, [run]) for with_images, run in planned]
    done, bad = [], None
    for with_images, runs in groups:
        recorder, accel = target.boot(with_images, outdir, runs, say)
        line, status = judge(runs, recorder, accel, digest(target, with_images))
        bad = bad or (None if status == PASS else (line, status))
        done += runs
    return done, bad or (line, status), accel


def parse(run):
    """What a boot said: facts, and for each way to wait and each CPU the samples"""
    found = {"name": run.name, "facts": {}, "waits": [], "split": [], "cyclictest": []}
    for line in run.reports:
        pairs = dict(word.split("=", 1) for word in line.split())
        if "samples" in pairs:
            found["waits"][-1]["late"] += map(int, pairs["samples"].split(","))
        elif "parts" in pairs:
            found["split"][-1]["late"] += ([int(part) for part in each.split(":")]
                                           for each in pairs["parts"].split(","))
        elif "cyclictest" in pairs:
            found["cyclictest"].append({key: int(value) for key, value in pairs.items()})
        elif "split" in pairs:
            found["split"].append({"cpu": int(pairs["cpu"]), "late": []})
        elif "kind" in pairs:
            found["waits"].append({key: int(value) if value.lstrip("-").isdigit() else value
                                   for key, value in pairs.items()} | {"late": []})
        elif "cpu" in pairs:
            found["facts"][f"device{pairs['cpu']}"] = pairs["device"]
        else:
            found["facts"].update(pairs)
    return found


def key_of(wait):
    """Those that are shown together: all CPUs"""
    return wait["kind"], wait["where"], wait["load"]


def samples(boots, side):
    """In order, by the way to wait"""
    found = {}
    for boot in boots:
        if boot["name"].startswith(f"{side}-"):
            for wait in boot["waits"]:
                found.setdefault(key_of(wait), []).extend(wait["late"])
    return {key: sorted(late) for key, late in found.items() if late}


def quantile(late, permille):
    """In us, as common.c counts"""
    return late[min(len(late) * permille // 1000, len(late) - 1)] / 1000


def print_table(old, ours):
    """A row for each way to wait"""
    print(f"{'late by us':<23}" + "".join(f"{name:>26}" for name in SHOWN))
    print(f"{'':<23}" + f"{'old':>10}{'pv_timer':>10}{'':>6}" * len(SHOWN))
    for key in (key for key in ours if key in old):
        text = f"{' '.join(key):<23}"
        for permille in SHOWN.values():
            pair = [quantile(side[key], permille) for side in (old, ours)]
            text += f"{pair[0]:>10.1f}{pair[1]:>10.1f}{pair[1] / max(pair[0], 0.001):>6.2f}"
        print(text)


def witness(boots, side):
    """What cyclictest says of all CPUs of all boots: least, mean and most, in us"""
    seen = [each for boot in boots if boot["name"].startswith(f"{side}-")
            for each in boot["cyclictest"]]
    if not seen:
        return None
    return {"min": min(each["min"] for each in seen) / 1000,
            "avg": sum(each["avg"] for each in seen) / len(seen) / 1000,
            "max": max(each["max"] for each in seen) / 1000}


def print_witness(boots):
    """That beside the table, which is of our own program"""
    old, ours = (witness(boots, side) for side in SIDES)
    if not old or not ours:
        print("cyclictest: there is none for this machine")
        return
    print(f"{'cyclictest at-once idle':<23} " + "".join(
        f"{name:>9}{old[name]:>10.1f}{ours[name]:>10.1f}"
        f"{ours[name] / max(old[name], 0.001):>6.2f}" for name in ours))


def parts(boots, side):
    """Those of each wake-up that was traced, in order"""
    late = [each for boot in boots if boot["name"].startswith(f"{side}-")
            for cpu in boot["split"] for each in cpu["late"]]
    return {name: sorted(each[number] for each in late)
            for number, name in enumerate(PARTS) if late}


def histogram(waits):
    """All samples, for report.py"""
    report = Report("")
    for late in chain.from_iterable(waits.values()):
        bucket = max(late, 1).bit_length() - 1
        report.buckets[bucket] = report.buckets.get(bucket, 0) + 1
    return report


PLOT = """set terminal svg noenhanced size 1200,900 background rgb "white" font "sans,13"
set output "{output}"
set encoding utf8
set multiplot layout 2,2 title "{title}" font "sans,16"
set logscale xy
set grid
set xrange [{least}:{most}]
set yrange [{share}:1]
set xlabel "late by more than, µs"
set ylabel "share of wake-ups"
set key top right
"""
CURVE = {("old", "idle"): 'linecolor rgb "#909090" dashtype 1',
         ("old", "busy"): 'linecolor rgb "#909090" dashtype 2',
         ("pv_timer", "idle"): 'linecolor rgb "#2060c0" dashtype 1',
         ("pv_timer", "busy"): 'linecolor rgb "#2060c0" dashtype 2'}


def curve(late):
    """The complementary distribution, denser where there are fewer"""
    left = len(late)
    while left >= 1:
        yield f"{max(late[len(late) - left], 1) / 1000} {left / len(late)}"
        left = min(left - 1, int(left * 10 ** (-4 / POINTS)))


def panel(kind, sides):
    """The commands that draw one way to wait"""
    text, plots = "", []
    for (side, load), style in CURVE.items():
        late = sorted(chain.from_iterable(
            waits for key, waits in sides[side].items() if key[0] == kind and key[2] == load))
        if late:
            name = f"${kind}_{side}_{load}"
            text += f"{name} << EOD\n" + "\n".join(curve(late)) + "\nEOD\n"
            plots.append(f'{name} with steps linewidth 2 {style} title "{side}, {load}"')
    return text + f'set title "{kind}"\nplot {", ".join(plots)}\n' if plots else ""


def draw(title, sides, path):
    """Writes the picture"""
    every = [late for waits in sides.values() for late in chain.from_iterable(waits.values())]
    kinds = dict.fromkeys(kind for kind, _, _ in sides["pv_timer"])
    most = max(len(late) for waits in sides.values() for late in waits.values())
    subprocess.run(["gnuplot"], check=True, text=True, input=PLOT.format(
        output=path, title=title, share=0.25 / most,
        least=max(min(every), 100) / 1000, most=max(every) / 1000) + "".join(
            panel(kind, sides) for kind in kinds))


def differences(boots):
    """What boots of the same side do not agree in"""
    for side in SIDES:
        first, *others = (boot for boot in boots if boot["name"].startswith(f"{side}-"))
        for other in others:
            if len(first["waits"]) != len(other["waits"]):
                yield f"{side}: one has measured more than the other"
            for one, two in zip(first["waits"], other["waits"]):
                if one != two:
                    yield f"{side} {' '.join(key_of(one))} CPU {one['cpu']}"
            if first["split"] != other["split"]:
                yield f"{side}: one divides otherwise than the other"
            if first["cyclictest"] != other["cyclictest"]:
                yield f"{side}: cyclictest"


def stolen():
    """Seconds that were taken away from this machine"""
    with open("/proc/stat", encoding="ascii") as file:
        return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def facts_of_host(before):
    """What else happened on this machine"""
    return {"stolen_seconds": stolen() - before, "load": os.getloadavg()[0],
            "cpus": os.cpu_count()}


def measure(target, opts, outdir, say, exact):
    """Boots, and writes down what they found. Return: that, verdict line and status"""
    before = stolen()
    runs, (line, status), accel = boot_all(target, opts, outdir, say, exact)
    boots = [parse(run) for run in runs]
    result = {"target": target.name, "title": target.title, "accel": accel,
              "emulated": accel != "kvm", "exact": exact, "date": time.strftime("%F"),
              "linux": next((run.verdict["linux"] for run in runs if run.verdict), ""),
              "image": {side: digest(target, which(target, opts, 0)[0])
                        for side, which in zip(SIDES, (old_side, our_side))},
              "host": facts_of_host(before), "boots": boots}
    differ = list(differences(boots)) if exact else []
    if differ and status == PASS:
        line, status = f'FAIL reason="two boots differ: {differ[0]}, ..." {line}', FAIL
    return result, line, status


def latency_target(target, opts, outdir, say):
    """Measure, print, draw. Return: the verdict line and the exit status"""
    verdicts = []
    for exact in (False, True) if target.far else (False,):
        result, line, status = measure(target, opts, outdir, say, exact)
        verdicts.append((line, status))
        path = os.path.join(outdir, f"latency{'-exact' if exact else ''}")
        with open(f"{path}.json", "w", encoding="utf-8") as file:
            json.dump(result, file)
        sides = {side: samples(result["boots"], side) for side in SIDES}
        if all(sides.values()):
            show(result, sides, path)
    return next((each for each in verdicts if each[1] != PASS), verdicts[0])


def title_of(result):
    """What was measured, and what that is good for"""
    title = f"{result['title']}, Linux {result['linux']}"
    if result["exact"]:
        title += ", 16 ns per instruction, one CPU"
    elif result["emulated"]:
        title += ", emulated"
    return title


def show(result, sides, path):
    """The table, the histogram, the picture"""
    print(f"\n{result['target']}: {title_of(result)}")
    if result["exact"]:
        print("two boots of each: the same samples, to the nanosecond"
              if not list(differences(result["boots"])) else "two boots differ")
    elif result["emulated"]:
        print("emulated: only never-early and the order are of use, not the times")
    print_table(*({key: late for key, late in sides[side].items()} |
                  {("traced", name): late
                   for name, late in parts(result["boots"], side).items()}
                  for side in SIDES))
    print_witness(result["boots"])
    print_histogram(histogram(sides["old"]), histogram(sides["pv_timer"]), False)
    draw(f"{result['target']}: how late wake-ups are, {title_of(result)}", sides,
         f"{path}.svg")
    print(f"\n{path}.json, {path}.svg", flush=True)
