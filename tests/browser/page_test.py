"""Opens the page of a study in a real browser and uses it as a person would.

    python3 tests/browser/page_test.py PAGE.html [--screenshots FOLDER]

Exit code 77 and a sentence where there is no browser. The page must have variants named in --variants (default: those of
study_page_test.cpp), of which those in --failed have a failed run, and those in --diverged no finished one. It is made for
so many --workers.
"""

import argparse
import itertools
import json
import pathlib
import sys

import chromium

CURVES = "[...document.querySelectorAll('#figure-{} path.curve')].map(path => path.dataset.variant)"
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


def check(page, variants):
    assert not page.errors, page.errors
    assert all(address.startswith("file:") for address in page.requests), page.requests
    assert page.evaluate("document.querySelectorAll('#verdicts tr').length") == len(variants) + 1

    # Every figure holds a curve or a bar of every variant.
    figures = page.evaluate("[...document.querySelectorAll('#figures figure')].map(figure => figure.id)")
    assert len(figures) >= 9, figures
    for figure in figures:
        drawn = page.evaluate(
            f"[...document.querySelectorAll('#{figure} [data-variant]')].map(mark => mark.dataset.variant)"
        )
        assert sorted(set(drawn)) == sorted(variants), (figure, drawn)

    # A variant goes and comes back.
    page.click("#show-1")
    assert page.evaluate(CURVES.format("loss")) == [name for i, name in enumerate(variants) if i != 1]
    assert variants[1] not in page.evaluate("document.getElementById('figure-updates').textContent")
    page.click("#show-1")
    assert page.evaluate(CURVES.format("loss")) == variants

    # The axis changes for the figures that follow it, and only for them.
    assert page.evaluate(AXIS.format("accuracy")) == "epochs"
    fixed = page.evaluate(PATH.format("accuracy_seconds"))
    page.click("input[value=updates]")
    assert page.evaluate(AXIS.format("accuracy")) == "updates"
    assert page.evaluate(AXIS.format("noise")) == "updates"
    assert page.evaluate(PATH.format("accuracy_seconds")) == fixed
    page.click("input[value=seconds]")
    assert page.evaluate(AXIS.format("loss")) == "seconds of training"
    page.click("input[value=examples]")

    # The scale changes.
    logarithmic = page.evaluate(PATH.format("loss"))
    page.click("#log-loss")
    assert page.evaluate(PATH.format("loss")) != logarithmic
    page.click("#log-loss")
    assert page.evaluate(PATH.format("loss")) == logarithmic

    # Values stand under the pointer.
    page.hover("#figure-accuracy svg")
    tip = page.evaluate("(t => t.hidden ? '' : t.textContent)(document.querySelector('#figure-accuracy .tip'))")
    assert all(f"{name}: " in tip for name in variants), tip
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


def check_diverged(page, variants, failed, diverged):
    """A failed run has a curve, to its end or the edge, and does not stretch the figure; a bar without a value says why."""
    highest = (
        "Math.max(...[...document.querySelectorAll('#figure-loss svg > text[text-anchor=end]')]"
        ".map(text => Number(text.textContent)))"
    )
    thin = "[...document.querySelectorAll('#figure-loss path.failed[data-variant]')].map(path => path.dataset.variant)"
    assert page.evaluate(thin) == failed
    assert page.evaluate(CURVES.format("loss")) == [name for name in variants if name not in diverged]
    for _ in range(2):  # logarithmic and not
        assert page.evaluate(highest) < 100
        page.click("#log-loss")
    for figure in ("updates", "seconds", "workers"):
        bars = page.evaluate(
            f"[...document.querySelectorAll('#figure-{figure} [data-variant]')].map(bar => bar.lastChild.textContent)"
        )
        assert [bar.endswith(": failed") for bar in bars] == [name in diverged for name in variants], (figure, bars)


def check_beyond(page, failed):
    """What is drawn outside the axis is counted below it: here the losses of the failed run after it diverged."""
    note = "document.querySelector('#figure-{} .beyond').textContent"
    assert page.evaluate(note.format("learning_rate")) == ""
    if not failed:
        return
    for _ in range(2):  # logarithmic and not
        assert page.evaluate(note.format("loss")) == "Values beyond the axis: 7 above", page.evaluate(note.format("loss"))
        page.click("#log-loss")
    box = page.evaluate("document.querySelectorAll('[id^=show-]').length") - 1
    page.click(f"#show-{box}")
    assert page.evaluate(note.format("loss")) == ""
    page.click(f"#show-{box}")


def check_print(page, variants):
    page.media("print")
    seen = "(e => e.getClientRects().length > 0)"
    names = page.evaluate("document.querySelector('#toggles').innerText")
    assert all(name in names for name in variants), names
    assert page.evaluate(f"[...document.querySelectorAll('#toggles .key line')].every({seen})")
    assert not page.evaluate(f"[...document.querySelectorAll('input')].some({seen})")
    page.evaluate("document.querySelector('#show-1').click()")
    assert variants[1] not in page.evaluate("document.querySelector('#toggles').innerText")
    page.evaluate("document.querySelector('#show-1').click()")
    assert "pointer" not in page.evaluate("document.body.innerText")
    page.media()


def check_tests(page, variants):
    """What stands behind the verdicts is text."""
    rows = "[...document.querySelectorAll('#tests tr')].slice(1).map(row => row.innerText)"
    for width in (360, 1200):
        page.size(width, 800, phone=width < 500)
        page.settle()
        for row in page.evaluate(rows):
            assert " to " in row and row.count("p ") >= 5 and "t(" in row, row


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
        curves = page.evaluate("document.querySelectorAll('#figure-loss path.curve').length")
        for i in range(curves):
            assert contrast(luminance("#figure-loss path.curve", "stroke", i), ground) > 3, (scheme, i)
    page.media()
    # Curves differ without their colour too.
    patterns = page.evaluate(
        "[...document.querySelectorAll('#figure-loss path.curve')].map(p => p.getAttribute('stroke-dasharray'))"
    )
    assert len(set(patterns)) == len(patterns), patterns


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
    parser.add_argument("--variants", default="decay,hybrid,grow,large batch")
    parser.add_argument("--failed", default="large batch")
    parser.add_argument("--diverged", default="")
    parser.add_argument("--workers", default="5")
    arguments = parser.parse_args()
    if chromium.find() is None:
        print("no Chromium here: apt-get install chromium")
        sys.exit(77)
    with chromium.Chromium() as browser:
        page = browser.open(arguments.page.resolve().as_uri())
        variants, failed, diverged = (
            text.split(",") if text else [] for text in (arguments.variants, arguments.failed, arguments.diverged)
        )
        title = page.evaluate("document.querySelector('#figure-workers figcaption').textContent")
        assert title.startswith(f"Time on {arguments.workers} workers "), title
        check_diverged(page, variants, failed, diverged)
        check_beyond(page, failed)
        if not diverged:
            check(page, variants)
            check_tests(page, variants)
        check_choices(page, variants)
        check_print(page, variants)
        check_widths(page)
        check_colours(page)
        if arguments.screenshots:
            keep_screenshots(page, arguments.screenshots)


main()
