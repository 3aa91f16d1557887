"""What axe-core says about a page: nothing, or which rule is broken by what."""

from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

AXE = (Path(axe_playwright_python.__file__).parent / 'axe.min.js').read_text(encoding='utf-8')
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


def complaints(page: Page, scheme: str) -> list[str]:
    """What is wrong with the page as it is: all rules in light or in dark, then those of colours in the other."""
    found = []
    for name in ('light', 'dark'):
        page.emulate_media(color_scheme=name, reduced_motion='reduce')  # nothing is on its way to another colour
        found += [f'{name}: {one}' for one in page.evaluate(RUN, None if name == scheme else COLOURS)]
    return found
