"""Opens the page of a study in a real browser and uses it as a person would.

    python3 tests/browser/page_test.py PAGE.html [--screenshots FOLDER]

Exit code 77 and a sentence where there is no browser. The page must have variants named in --variants (default: those of
study_page_test.cpp).
"""

import argparse
import pathlib
import sys

import chromium

CURVES = "[...document.querySelectorAll('#figure-{} path.curve')].map(path => path.dataset.variant)"
AXIS = "[...document.querySelectorAll('#figure-{} svg > text')].at(-1).textContent"
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
        assert drawn == variants, (figure, drawn)

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


def check_widths(page):
    for width in (320, 390, 768, 1200, 1920):
        page.size(width, 800, phone=width < 500)
        page.settle()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} pixels wide at {width}"
        outside = page.evaluate(
            "[...document.querySelectorAll('#figures svg text')].filter(text => {"
            " const own = text.getBoundingClientRect(), svg = text.ownerSVGElement.getBoundingClientRect();"
            " return own.left < svg.left - 1 || own.right > svg.right + 1; }).map(text => text.textContent)"
        )
        assert not outside, f"texts run out of their figures at {width} pixels: {outside}"
    # Where there is room the verdicts are seen whole; a sheet of paper cannot be scrolled.
    fits = "(box => box.scrollWidth <= box.clientWidth)(document.querySelector('.scroll'))"
    assert page.evaluate(fits)
    page.size(1280, 800)
    page.settle()
    assert page.evaluate(fits)
    page.size(718, 1000)  # A4 with its margins
    page.media("print")
    assert page.evaluate(fits)
    page.media()
    assert not page.errors, page.errors


def check_colours(page):
    def luminance(selector, what):
        numbers = page.evaluate(
            f"getComputedStyle(document.querySelector('{selector}')).{what}.match(/[0-9.]+/g).slice(0, 3).map(Number)"
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
        for i in range(1, curves + 1):
            assert contrast(luminance(f"#figure-loss path.curve:nth-of-type({i})", "stroke"), ground) > 3, (scheme, i)
        hidden = page.evaluate("getComputedStyle(document.querySelector('.controls')).display") == "none"
        assert hidden == (kind == "print")
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
    arguments = parser.parse_args()
    if chromium.find() is None:
        print("no Chromium here: apt-get install chromium")
        sys.exit(77)
    with chromium.Chromium() as browser:
        page = browser.open(arguments.page.resolve().as_uri())
        check(page, arguments.variants.split(","))
        check_widths(page)
        check_colours(page)
        if arguments.screenshots:
            keep_screenshots(page, arguments.screenshots)


main()
