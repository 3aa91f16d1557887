"""What axe-core says about a page: nothing, or which rule is broken by what."""

from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page

AXE = (Path(axe_playwright_python.__file__).parent / 'axe.min.js').read_text(encoding='utf-8')
# What decides how well texts can be read, of every element of the page that is seen: colour, size, weight, line of its text,
# the colour of the text around it, and all that lies behind it.
LOOKS = """
    () => {
        const layers = new Map();  // what lies behind an element, found once for all that is in it
        const behind = element => {
            if (element && !layers.has(element)) {
                const {backgroundColor, backgroundImage, opacity} = getComputedStyle(element);
                const own = [
                    backgroundColor !== 'rgba(0, 0, 0, 0)' && backgroundColor,
                    backgroundImage !== 'none' && backgroundImage,
                    opacity !== '1' && opacity,
                ];
                layers.set(element, [...own.filter(Boolean), behind(element.parentElement)].join(' '));
            }
            return layers.get(element);
        };
        const look = element => {
            const {color, fontSize, fontWeight, textDecorationLine} = getComputedStyle(element);
            const around = getComputedStyle(element.parentElement).color;
            return [color, fontSize, fontWeight, textDecorationLine, around, behind(element)].join(' ');
        };
        const isSeen = element => element.checkVisibility({opacityProperty: true, visibilityProperty: true})
            && !element.closest('[aria-hidden=true], :disabled, [aria-disabled=true]');
        return [...new Set([...document.querySelectorAll('body *')].filter(isSeen).map(look))];
    }
"""
# In which theme a page is looked at by all rules, language by language; those of colours are for both.
LANGUAGES = {'en': 'light', 'uk': 'dark'}
COLOURS = ['color-contrast', 'link-in-text-block']  # the rules that can find something else in another theme
ONLY_COLOURS = {'runOnly': {'type': 'rule', 'values': COLOURS}}
RUN = """
    async options => {
        const {violations} = await axe.run(document, {resultTypes: ['violations'], ...options});
        return violations.flatMap(({id, nodes}) => nodes.map(node => `${id}: ${node.target} ${node.html.slice(0, 120)}`));
    }
"""


def prepare(page: Page) -> Page:
    """Have axe on every page from now on; brought by each look at a page, it would take a third of the time."""
    page.add_init_script(AXE)
    return page


_known: set[str] = set()  # looks of which axe has had nothing to say: another page with them need not be asked again


def all_rules(*, colours: bool) -> dict[str, Any]:
    """Options for axe; ``target-size`` is of WCAG 2.2 AA, and the only one of it that is not on by itself."""
    return {'rules': {'target-size': {'enabled': True}, **{rule: {'enabled': colours} for rule in COLOURS}}}


def complaints(page: Page, scheme: str) -> list[str]:
    """What is wrong with the page as it is: by all rules in light or in dark, by those of colours in both."""
    found = []
    for name in ('light', 'dark'):
        page.emulate_media(color_scheme=name, reduced_motion='reduce')  # nothing is on its way to another colour
        looks = set(page.evaluate(LOOKS))
        is_new = not looks <= _known
        if name == scheme or is_new:
            said = page.evaluate(RUN, all_rules(colours=is_new) if name == scheme else ONLY_COLOURS)
            found += [f'{name}: {one}' for one in said]
            if is_new and not said:
                _known.update(looks)
    return found
