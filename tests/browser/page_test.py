"""Opens the page of a study in a real browser and uses it as a person would.

    python3 tests/browser/page_test.py PAGE.html [--beyond N] [--screenshots FOLDER]

Exit code 77 and a sentence where there is no browser. Any page that `crescendo report` made will do, of a study that goes on
too: what it must show is read from the JSON in it. --beyond: that so many losses are drawn above the axis.
"""

import argparse
import itertools
import json
import pathlib
import sys

import chromium

STUDY = "JSON.parse(document.getElementById('study').textContent)"
MARKED = "[...new Set([...document.querySelectorAll('#{} [data-variant]')].map(mark => mark.dataset.variant))]"
CURVES = "[...document.querySelectorAll('#figure-{} path.curve:not(.pale)')].map(path => path.dataset.variant)"
AXIS = "[...document.querySelectorAll('#figure-{} svg > text')].at(-1).textContent"
# Texts of the figures that lie on each other or run out of their figure, and scales of more labels than can be read.
UNREADABLE = """[...document.querySelectorAll('#figures svg')].flatMap(svg => {
  const edge = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text')].map(text => ({text: text.textContent, box: text.getBoundingClientRect()}));
  const outside = texts.filter(({box}) => box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1);
  const meeting = texts.filter((a, i) => texts.some((b, k) => k > i && a.box.left < b.box.right && b.box.left < a.box.right
                                                              && a.box.top + 2 < b.box.bottom - 2 && b.box.top + 2 < a.box.bottom - 2));
  const many = [...svg.querySelectorAll(':scope > text[text-anchor=end]')].slice(7).map(text => ({text: text.textContent}));
  const same = new Set([...svg.querySelectorAll(':scope > text[text-anchor=end]')].map(text => text.textContent)).size
      < svg.querySelectorAll(':scope > text[text-anchor=end]').length ? [{text: 'the same label twice'}] : [];
  return [...outside, ...meeting, ...many, ...same].map(({text}) => `${svg.getAttribute('aria-label')}: ${text}`);
})"""
PATH = "document.querySelector('#figure-{} path.curve').getAttribute('d')"


def check(page, variants, has_curve):
    assert not page.errors, page.errors
    assert all(address.startswith("file:") for address in page.requests), page.requests
    assert page.evaluate("document.querySelectorAll('#verdicts tr').length") == len(variants) + 1
    assert "[reference]" in page.evaluate("document.querySelector('#config pre').textContent")

    # Every figure holds a curve or a bar of every variant that has one.
    figures = page.evaluate("[...document.querySelectorAll('#figures figure')].map(figure => figure.id)")
    assert len(figures) >= 9, figures
    for figure in figures:
        drawn = page.evaluate(MARKED.format(figure))
        assert set(has_curve) <= set(drawn) <= set(variants), (figure, drawn)

    # A variant goes and comes back.
    assert page.evaluate(CURVES.format("loss")) == has_curve
    page.click("#show-1")
    assert page.evaluate(CURVES.format("loss")) == [name for name in has_curve if name != variants[1]]
    assert variants[1] not in page.evaluate(MARKED.format("figure-updates"))
    page.click("#show-1")
    assert page.evaluate(CURVES.format("loss")) == has_curve

    # The axis changes for the figures that follow it, and only for them.
    assert page.evaluate(AXIS.format("accuracy")) == "epochs"
    fixed = page.evaluate(PATH.format("accuracy_seconds"))
    page.click("input[value=updates]")
    assert page.evaluate(AXIS.format("accuracy")) == "updates"
    assert page.evaluate(AXIS.format("noise")) == "updates"
    assert page.evaluate(PATH.format("accuracy_seconds")) == fixed
    page.click("input[value=seconds]")
    assert page.evaluate(AXIS.format("loss")) in [f"{unit} of training" for unit in ("seconds", "minutes", "hours")]
    page.click("input[value=examples]")

    # The scale changes.
    logarithmic = page.evaluate(PATH.format("loss"))
    page.click("#log-loss")
    assert page.evaluate(PATH.format("loss")) != logarithmic
    page.click("#log-loss")
    assert page.evaluate(PATH.format("loss")) == logarithmic

    # Values stand under the pointer.
    page.hover("#figure-accuracy svg")
    tip = page.evaluate(MARKED.format("figure-accuracy .tip:not([hidden])"))
    assert tip and set(tip) <= set(has_curve), tip
    page.hover("h1")
    assert page.evaluate("document.querySelector('#figure-accuracy .tip').hidden")
    assert not page.errors, page.errors


def check_choices(page, variants):
    """Each variant alone and all together, on every axis and scale: no error, and labels that can be read."""
    press = "document.querySelector('{}').click()"
    boxes = ["#log-accuracy", "#log-loss", "#log-schedule"]
    for alone in [*range(len(variants)), None]:
        others = [i for i in range(len(variants)) if alone is not None and i != alone]
        for i in others:
            page.evaluate(press.format(f"#show-{i}"))
        for axis in ("updates", "seconds", "examples"):
            page.evaluate(press.format(f"input[value={axis}]"))
            for pressed in itertools.product((False, True), repeat=len(boxes)):
                toggled = [box for box, press_it in zip(boxes, pressed) if press_it]
                for box in toggled:
                    page.evaluate(press.format(box))
                unreadable = page.evaluate(UNREADABLE)
                assert not unreadable, (alone, axis, toggled, unreadable)
                assert not page.errors, (alone, axis, toggled, page.errors)
                for box in toggled:
                    page.evaluate(press.format(box))
        for i in others:
            page.evaluate(press.format(f"#show-{i}"))


def check_diverged(page, study, has_curve):
    """A failed run has a curve, to its end or the edge, and does not stretch the figure; a bar without a value says why."""
    highest = (
        "Math.max(...[...document.querySelectorAll('#figure-loss svg > text[text-anchor=end]')]"
        ".map(text => Number(text.textContent.replace(/,/g, ''))))"
    )
    thin = "[...document.querySelectorAll('#figure-loss path.failed[data-variant]')].map(path => path.dataset.variant)"
    assert page.evaluate(thin) == [variant["name"] for variant in study["variants"] if variant["failed_losses"]["mean"]]
    assert page.evaluate(CURVES.format("loss")) == has_curve
    with_rate = [variant["name"] for variant in study["variants"] if variant["settings"]["learning_rate"]]
    assert page.evaluate(CURVES.format("learning_rate")) == with_rate
    sound = [loss for variant in study["variants"] for loss in variant["losses"]["high"]]
    for _ in range(2):  # logarithmic and not
        assert not sound or page.evaluate(highest) < 10 * max(sound)
        page.click("#log-loss")
    for figure in ("updates", "seconds", "workers"):
        bars = page.evaluate(
            f"[...document.querySelectorAll('#figure-{figure} [data-variant]')].map(bar => bar.lastChild.textContent)"
        )
        if not bars and figure == "workers":
            continue  # there is no estimate
        for variant, bar in zip(study["variants"], bars, strict=True):
            none_finished, goes_on = variant["updates"] == 0, variant["waiting"] + variant["unfinished"] > 0
            assert bar.endswith(": failed") == (none_finished and not goes_on), (figure, bar)
            planned = none_finished and goes_on and figure == "updates" and variant["planned_updates"] > 0
            assert bar.endswith(" planned") == planned, (figure, bar)
            if planned:
                assert f"{round(variant['planned_updates']):,} planned" == bar


def check_beyond(page, study, beyond):
    """What is drawn outside the axis is counted below it: the losses of a failed run after it diverged."""
    note = "document.querySelector('#figure-{} .beyond').textContent"
    rates = [rate for variant in study["variants"] for rate in variant["settings"]["learning_rate"]]
    of_failed = [rate for variant in study["variants"] for rate in variant["failed_settings"]["learning_rate"]]
    # A warm-up begins at 0, which has no logarithm; what failed may have had any rate.
    if min(rates, default=0) > 0 and not any(rate < min(rates) or rate > max(rates) for rate in of_failed):
        assert page.evaluate(note.format("learning_rate")) == ""
    if beyond is None:
        return
    for _ in range(2):  # logarithmic and not
        said = page.evaluate(note.format("loss"))
        assert said == (f"Values beyond the axis: {beyond} above" if beyond else ""), said
        page.click("#log-loss")
    boxes = [f"#show-{i}" for i, variant in enumerate(study["variants"]) if variant["accuracy_percent"]["failed"]]
    for box in boxes:
        page.click(box)
    assert page.evaluate(note.format("loss")) == ""
    for box in boxes:
        page.click(box)


def check_pale(page, study):
    """Where only some of the begun runs have got to, the line is pale."""
    pale = "[...document.querySelectorAll('#figure-{} path.curve.pale')].map(path => path.dataset.variant)"
    for figure, curve in (("loss", "losses"), ("accuracy", "accuracies")):
        runs = {variant["name"]: variant[curve]["runs"] for variant in study["variants"]}
        expected = [name for name, counts in runs.items() if counts and min(counts[1:], default=max(counts)) < max(counts)]
        assert page.evaluate(pale.format(figure)) == expected, figure


def check_noise(page, study):
    assert page.evaluate("(s => s ? s.textContent : '')(document.querySelector('#figure-noise .sentence'))") == study["noise"]


def check_times(page, study):
    expected = study["no_time_ratio"] if len(study["variants"]) > 1 else ""
    for figure in ("accuracy_seconds", "seconds"):
        said = page.evaluate(f"(s => s ? s.textContent : '')(document.querySelector('#figure-{figure} .sentence'))")
        assert expected in said and bool(said) == bool(expected), said


def check_print(page, variants):
    page.media("print")
    seen = "(e => e.getClientRects().length > 0)"
    shown = f"[...document.querySelectorAll('#toggles label')].filter({seen}).map(label => label.dataset.variant)"
    assert page.evaluate(shown) == variants
    assert page.evaluate(f"[...document.querySelectorAll('#toggles .key line')].every({seen})")
    assert not page.evaluate(f"[...document.querySelectorAll('input')].some({seen})")
    page.evaluate("document.querySelector('#show-1').click()")
    assert page.evaluate(shown) == [name for i, name in enumerate(variants) if i != 1]
    page.evaluate("document.querySelector('#show-1').click()")
    assert "pointer" not in page.evaluate("document.body.innerText")
    page.media()


def check_tests(page, study):
    """What stands behind the verdicts is text."""
    rows = "[...document.querySelectorAll('#tests tr')].slice(1).map(row => row.innerText)"
    compared = [variant["comparison"] for variant in study["variants"] if variant["comparison"]]
    tested = [comparison for comparison in compared if comparison["by_seed"] or comparison["welch"]]
    for width in (360, 1200):
        page.size(width, 800, phone=width < 500)
        page.settle()
        for row, comparison in zip(page.evaluate(rows), tested, strict=True):
            tests = bool(comparison["by_seed"]) + bool(comparison["welch"])
            # p and Holm's p of the equivalence and of the deciding test, p of the other.
            assert " to " in row and row.count("p ") >= 3 + tests and row.count("t(") == tests, row


def check_widths(page):
    fits = "[...document.querySelectorAll('.scroll')].every(box => box.scrollWidth <= box.clientWidth)"
    for width in (320, 360, 390, 768, 1200, 1920):
        page.size(width, 800, phone=width < 500)
        page.settle()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} pixels wide at {width}"
        unreadable = page.evaluate(UNREADABLE)
        assert not unreadable, (width, unreadable)
        # A table is read on a phone without being moved, each value under the name of its column.
        if width <= 768:
            assert page.evaluate(fits), width
            unnamed = page.evaluate("[...document.querySelectorAll('td')].filter(cell => !cell.dataset.name).length")
            assert unnamed == 0, unnamed
    # Where there is room the tables are seen whole; a sheet of paper cannot be scrolled.
    assert page.evaluate(fits)
    page.size(1280, 800)
    page.settle()
    assert page.evaluate(fits)
    page.size(718, 1000)  # A4 with its margins
    page.media("print")
    assert page.evaluate(fits)
    if page.evaluate("!document.querySelector('#differences')"):
        page.media()
        return
    differences = "document.querySelector('#differences').innerHTML"
    as_made = page.evaluate(differences)
    page.evaluate(  # sixteen variants
        "document.querySelectorAll('#differences tr').forEach(row => { const cells = [...row.children].slice(1);"
        " while (row.children.length <= 16) row.append(...cells.map(cell => cell.cloneNode(true))); })"
    )
    assert page.evaluate(fits)
    page.evaluate(f"{differences} = {json.dumps(as_made)}")
    page.media()
    assert not page.errors, page.errors


def check_colours(page):
    def luminance(selector, what, i=0):
        numbers = page.evaluate(
            f"getComputedStyle(document.querySelectorAll('{selector}')[{i}]).{what}"
            ".match(/[0-9.]+/g).slice(0, 3).map(Number)"
        )
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (n / 255 for n in numbers)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(a, b):
        return (max(a, b) + 0.05) / (min(a, b) + 0.05)

    for kind, scheme, dark in (("screen", "light", False), ("screen", "dark", True), ("print", "dark", False)):
        page.media(kind, scheme)
        ground = luminance("body", "backgroundColor")
        assert (ground < 0.1) == dark, (kind, scheme, ground)
        assert contrast(luminance("body", "color"), ground) > 7
        assert contrast(luminance("svg text", "fill"), ground) > 4.5
        curves = page.evaluate("document.querySelectorAll('#figure-loss path.curve:not(.pale)').length")
        for i in range(curves):
            assert contrast(luminance("#figure-loss path.curve:not(.pale)", "stroke", i), ground) > 3, (scheme, i)
    page.media()
    # Six curves differ without their colour too; more of them by the two together.
    patterns = page.evaluate(
        "[...document.querySelectorAll('#figure-loss path.curve:not(.pale)')]"
        ".map(p => p.getAttribute('stroke-dasharray') + '; ' + p.getAttribute('stroke'))"
    )
    assert len(set(patterns)) == len(patterns), patterns
    names = page.evaluate(CURVES.format("loss"))
    first_six = page.evaluate("study.variants.slice(0, 6).map(variant => variant.name)")
    dashes = [pattern.split(";")[0] for name, pattern in zip(names, patterns) if name in first_six]
    assert len(set(dashes)) == len(dashes), dashes


def keep_screenshots(page, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, scheme, width in (("light", "light", 1200), ("dark", "dark", 1200), ("phone", "light", 390)):
        page.size(width, 900, phone=width < 500)
        page.media("screen", scheme)
        page.settle()
        page.screenshot(folder / f"study_{name}.webp")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    parser.add_argument("--beyond", type=int)
    arguments = parser.parse_args()
    if chromium.find() is None:
        print("no Chromium here: apt-get install chromium")
        sys.exit(77)
    with chromium.Chromium() as browser:
        page = browser.open(arguments.page.resolve().as_uri())
        study = page.evaluate(STUDY)
        variants = [variant["name"] for variant in study["variants"]]
        has_curve = [variant["name"] for variant in study["variants"] if variant["losses"]["mean"]]
        if any(str(study["workers"]) in variant["seconds_on_workers"] for variant in study["variants"]):
            title = page.evaluate("document.querySelector('#figure-workers figcaption').textContent")
            assert title.startswith(f"Time on {study['workers']} worker"), title
        check_diverged(page, study, has_curve)
        check_beyond(page, study, arguments.beyond)
        check_pale(page, study)
        check_noise(page, study)
        check_times(page, study)
        if has_curve == variants:
            check(page, variants, has_curve)
        check_tests(page, study)
        check_choices(page, variants)
        check_print(page, variants)
        check_widths(page)
        check_colours(page)
        if arguments.screenshots:
            keep_screenshots(page, arguments.screenshots)


main()
