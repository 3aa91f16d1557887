"""What axe-core says about a page: nothing, or which rule is broken by what."""

from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

AXE = (Path(axe_playwright_python.__file__).parent / 'axe.min.js').read_text(encoding='utf-8')
# What decides how well texts can be read, of every element of the page that is seen: colour, size, weight, line of its text,
# the colour of the text around it, and all that lies behind it.
LOOKS = """
    () => {
        const look = element => {
            const {color, fontSize, fontWeight, textDecorationLine} = getComputedStyle(element);
            const parts = [color, fontSize, fontWeight, textDecorationLine, getComputedStyle(element.parentElement).color];
            for (let node = element; node; node = node.parentElement) {
                const {backgroundColor, backgroundImage, opacity} = getComputedStyle(node);
                if (backgroundColor !== 'rgba(0, 0, 0, 0)') { parts.push(backgroundColor); }
                if (backgroundImage !== 'none') { parts.push(backgroundImage); }
                if (opacity !== '1') { parts.push(opacity); }
            }
            return parts.join(' ');
        };
        const isSeen = element => element.checkVisibility({opacityProperty: true, visibilityProperty: true})
            && !element.closest('[aria-hidden=true], :disabled, [aria-disabled=true]');
        return [...new Set([...document.querySelectorAll('body *')].filter(isSeen).map(look))];
    }
"""
# In which theme a page is looked at by all rules, language by language; those of colours are for both.
LANGUAGES = {'en': 'light', 'uk': 'dark'}
COLOURS = ['color-contrast', 'link-in-text-block']  # the rules that can find something else in another theme
RUN = """
    async only => {
        const rules = {'target-size': {enabled: true}};  // of WCAG 2.2 AA, and the only one of it that is not on by itself
        const options = {resultTypes: ['violations'], ...(only ? {runOnly: {type: 'rule', values: only}} : {rules})};
        const {violations} = await axe.run(document, options);
        return violations.flatMap(({id, nodes}) => nodes.map(node => `${id}: ${node.target} ${node.html.slice(0, 120)}`));
    }
"""


def prepare(page: Page) -> Page:
    """Have axe on every page from now on; brought by each look at a page, it would take a third of the time."""
    page.add_init_script(AXE)
    return page


_known: set[str] = set()  # looks of which axe has had nothing to say: another page with them need not be asked again


def complaints(page: Page, scheme: str) -> list[str]:
    """What is wrong with the page as it is: all rules in light or in dark, then those of colours in the other."""
    found = []
    for name in ('light', 'dark'):
        page.emulate_media(color_scheme=name, reduced_motion='reduce')  # nothing is on its way to another colour
        looks = set(page.evaluate(LOOKS))
        if name == scheme or not looks <= _known:
            said = page.evaluate(RUN, None if name == scheme else COLOURS)
            found += [f'{name}: {one}' for one in said]
            if not said:
                _known.update(looks)
    return found
