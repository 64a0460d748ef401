#!/usr/bin/env python3
"""Loads the page of `roost replay --report` in headless Chromium, as a phone, a desktop and a printer would.

usage: report_page.py [--screenshots FOLDER] [--roost PROGRAM] [PAGE.html]

Without PAGE, makes one with PROGRAM. Fails if a script fails, if anything is fetched, if the page is wider than the
screen, or if what is drawn differs from the numbers in the page. Where there is no Chromium, says SKIPPED and succeeds.
"""

import argparse
import base64
import html
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ANSWER_SECONDS = 60

# What Chromium sees of the page. Points are parsed here and compared in Python, by another way than they were drawn.
LOOK = """(() => {
  const shapes = name => [...document.querySelectorAll(`[data-chart="${name}"] svg [data-of]`)].map(shape => ({
    of: shape.dataset.of, kind: shape.tagName,
    points: [...shape.points].map(point => [point.x, point.y]),
    box: (box => [box.width, box.height])(shape.getBoundingClientRect()),
    paint: [getComputedStyle(shape).fill, getComputedStyle(shape).stroke] }));
  const middle = element => { const box = element.getBoundingClientRect(); return box.left + box.width / 2; };
  return {
    data: JSON.parse(document.getElementById("roost-data").textContent),
    charts: Object.fromEntries(["hits", "sources", "pool"].map(name => [name, {
      top: Number(document.querySelector(`[data-chart="${name}"]`).dataset.top), shapes: shapes(name) }])),
    latency: Object.fromEntries([...document.querySelectorAll(".latencies [data-of]")].map(dot => {
      const track = dot.parentElement.getBoundingClientRect();
      return [dot.dataset.of, (middle(dot) - track.left) / track.width]; })),
    decades: (figure => figure && [Number(figure.dataset.low), Number(figure.dataset.high)])(
      document.querySelector(".latencies")),
    bars: [...document.querySelectorAll(".bars [data-of]")].map(bar => bar.style.width),
    heading: document.querySelector("h1").textContent,
    overflow: document.documentElement.scrollWidth - innerWidth,
    paper: getComputedStyle(document.body).backgroundColor,
    planted: typeof window.planted };
})()"""


class Browser:
    """Headless Chromium, spoken to over a pipe in the DevTools protocol: JSON messages that end with a zero byte."""

    def __init__(self, program, folder):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()

        def wire():  # Chromium reads from descriptor 3 and writes to 4
            source, target = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(source, 3)
            os.dup2(target, 4)

        command = [program, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={folder}", "--no-first-run",
                   "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--hide-scrollbars"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")
        self.process = subprocess.Popen(
            command, preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.input = os.fdopen(ours_out, "wb", buffering=0)
        self.output = os.fdopen(ours_in, "rb")
        self.count, self.session, self.events, self.rest = 0, None, [], b""

    def read(self):
        while b"\0" not in self.rest:
            chunk = self.output.read1(1 << 16)
            if not chunk:
                raise SystemExit("chromium ended early")
            self.rest += chunk
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.input.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, address):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(domain + ".enable")
        self.events.clear()
        self.call("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.read())

    def evaluate(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise SystemExit(f"a script failed: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def show(self, width, height, scheme, media=""):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if width < 600
                  else 1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", media=media,
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path):
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=ANSWER_SECONDS)


class Findings:
    def __init__(self):
        self.list, self.checked = [], 0

    def expect(self, truth, what):
        self.checked += 1
        if not truth:
            self.list.append(what)

    def near(self, drawn, wanted, tolerance, what):
        self.expect(len(drawn) == len(wanted), f"{what}: {len(drawn)} points are drawn, not {len(wanted)}")
        for index, (one, other) in enumerate(zip(drawn, wanted)):
            far = max(abs(a - b) for a, b in zip(one, other))
            self.expect(far <= tolerance, f"{what}: point {index} is {one}, not {other}")


def steps(series, value, top):
    """The points of a level for each interval."""
    total, seen, points = max(1, sum(series["requests"])), 0, []
    for index, count in enumerate(series["requests"]):
        y = 300 - 300 * min(1, value(index) / top)
        points += [(1000 * seen / total, y), (1000 * (seen + count) / total, y)]
        seen += count
    return points


def running(series):
    total, seen, hits, references, points = max(1, sum(series["requests"])), 0, 0, 0, []
    for count, hit, reference in zip(series["requests"], series["hits"], series["references"]):
        seen, hits, references = seen + count, hits + hit, references + reference
        points.append((1000 * seen / total, 300 - 300 * hits / max(1, references)))
    return points


def compare(look, findings):
    data = look["data"]
    report, series = data["reports"][0], data["series"][0]
    findings.expect(sum(series["hits"]) == report["prefix_hits"] > 0, "the hits of the series are not the report's")
    findings.expect(sum(series["references"]) == report["block_references"], "references differ")
    findings.expect(sum(series["admitted"]) == report["admitted_blocks"], "admitted blocks differ")
    findings.expect(max(series["occupied"]) <= report["host_blocks"], "more slots in use than there are")
    share = lambda index: series["hits"][index] / max(1, series["references"][index])
    rate = lambda name: lambda index: series[name][index] / series["requests"][index]
    wanted = {
        ("hits", "moment"): steps(series, share, 1),
        ("sources", "references"): steps(series, rate("references"), look["charts"]["sources"]["top"]),
        ("sources", "hits"): steps(series, rate("hits"), look["charts"]["sources"]["top"]),
        ("pool", "occupied"): steps(series, lambda index: series["occupied"][index], report["host_blocks"]),
    }
    for index, other in enumerate(data["series"]):
        wanted["hits", f"running {index}"] = running(other)
    for (chart, name), points in wanted.items():
        shapes = [shape for shape in look["charts"][chart]["shapes"] if shape["of"] == name]
        findings.expect(len(shapes) == 1, f"{chart}: '{name}' is drawn {len(shapes)} times")
        for shape in shapes:
            drawn = shape["points"]
            if shape["kind"] == "polygon":
                findings.expect(drawn[0][1] == 300 == drawn[-1][1], f"{chart} {name} does not stand on the ground")
                drawn = drawn[1:-1]
            findings.near(drawn, points, 0.02, f"{chart} {name}")
            findings.expect(shape["box"][0] > 100, f"{chart} {name} takes no room: {shape['box']}")
            paint = shape["paint"][0 if shape["kind"] == "polygon" else 1]
            findings.expect(paint not in ("none", "rgb(0, 0, 0)"), f"{chart} {name} has no colour of its own: {paint}")
    low, high = look["decades"]
    for name in ["match", "load", "store"]:
        for label, microseconds in report[name + "_us"].items():
            if f"{name} {label}" in look["latency"]:
                place = (math.log10(max(1, microseconds * 1000)) - low) / (high - low)
                findings.near([(look["latency"][f"{name} {label}"],)], [(place,)], 0.004, f"latency {name} {label}")
            else:
                findings.expect(microseconds == 0, f"latency {name} {label} is not drawn")
    ratios = [100 * other["prefix_hit_ratio"] for other in data["reports"]]
    findings.near([(float(width.rstrip("%")),) for width in look["bars"]], [(ratio,) for ratio in ratios], 0.001, "bars")


def read_out(browser, look, findings):
    """Moves the pointer over each chart and compares what is said."""
    series = look["data"]["series"][0]
    total, seen = sum(series["requests"]), 0
    for index, count in enumerate(series["requests"]):
        seen += count
        if seen >= total / 2:
            break
    hits = series["hits"][index]
    says = {
        "hits": f"{100 * hits / max(1, series['references'][index]):.1f} %",
        "sources": f"{hits:,} blocks loaded",
        "pool": f"{100 * series['occupied'][index] / look['data']['reports'][0]['host_blocks']:.1f} %",
    }
    for name, wanted in says.items():
        said = browser.evaluate(f"""(() => {{
          const plot = document.querySelector('[data-chart="{name}"] .plot'), box = plot.getBoundingClientRect();
          plot.dispatchEvent(new PointerEvent("pointermove", {{ clientX: box.left + box.width * 0.49999 }}));
          return plot.closest("figure").querySelector(".readout").textContent; }})()""")
        findings.expect(wanted in said, f"{name}: the pointer reads '{said}', not '{wanted}'")


def check(browser, page, screenshots):
    findings = Findings()
    browser.open(page.as_uri())
    views = [("phone", 375, 812, "light"), ("phone", 375, 812, "dark"), ("desktop", 1280, 900, "light"),
             ("desktop", 1280, 900, "dark"), ("narrow", 320, 640, "light")]
    papers = {}
    for name, width, height, scheme in views:
        browser.show(width, height, scheme)
        look = browser.evaluate(LOOK)
        findings.expect(look["overflow"] <= 0, f"{name}: the page is {look['overflow']} px wider than the screen")
        papers[scheme] = look["paper"]
        compare(look, findings)
        if screenshots and name != "narrow":
            browser.picture(screenshots / f"{name}-{scheme}.png")
    findings.expect(papers["light"] != papers["dark"], "light and dark look the same")
    findings.expect(look["planted"] == "undefined", "text from outside ran as a script")
    read_out(browser, look, findings)
    browser.show(794, 1123, "dark", media="print")
    findings.expect(browser.evaluate(LOOK)["paper"] == "rgb(255, 255, 255)", "the page prints on dark paper")
    if screenshots:
        browser.picture(screenshots / "print.png")
    for event in browser.events:
        method, said = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            findings.expect(False, f"a script failed: {said['exceptionDetails']}")
        if method == "Log.entryAdded":
            findings.expect(False, f"the browser says: {said['entry']['text']}")
        if method == "Network.requestWillBeSent":
            address = said["request"]["url"]
            findings.expect(address == page.as_uri(), f"the page fetches {address}")
    return findings


def make_page(program, folder):
    """A page about a trace whose name would run as a script if it were not escaped."""
    trace = folder / "<img src=x onerror='window.planted=1'>&amp;.jsonl"
    lines = []
    for index in range(700):
        head = [index % 7 * 100 + block for block in range(12)]
        ids = head + [10_000 + index * 10 + block for block in range(index % 9)]
        lines.append(json.dumps({"timestamp": index * 250, "input_length": 16 * len(ids), "output_length": 8,
                                 "hash_ids": ids}))
    trace.write_text("\n".join(lines) + "\n")
    page = folder / "report.html"
    subprocess.run([program, "replay", str(trace), "--block-bytes", "4KiB", "--host-blocks", "600", "--report",
                    str(page)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    text = page.read_text()
    if trace.name in text or html.escape(trace.name).replace("&#x27;", "&#39;") not in text:
        raise SystemExit("the page does not name its trace")
    return page


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--screenshots", type=pathlib.Path)
    parser.add_argument("--roost", default=str(HERE.parent.parent / ".build" / "debug" / "roost"))
    parser.add_argument("page", nargs="?", type=pathlib.Path)
    arguments = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        print("SKIPPED: the browser test of the report needs chromium, and there is none")
        return 0
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="roost-browser-", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        page = arguments.page.resolve() if arguments.page else make_page(arguments.roost, folder)
        browser = Browser(program, folder / "profile")
        try:
            findings = check(browser, page, arguments.screenshots)
        finally:
            browser.close()
    for finding in findings.list[:20]:
        print("FAILED:", finding)
    print(f"browser test of the report: {findings.checked} checks, {len(findings.list)} failed")
    return 1 if findings.list else 0


if __name__ == "__main__":
    sys.exit(main())
