/* Every visible text below an element, with its contrast as WCAG defines it: [[ratio, text], …]. */
root => {
    const numbers = colour => colour.match(/[\d.]+/g).map(Number);

    const luminance = ([red, green, blue]) => {
        const [r, g, b] = [red, green, blue]
            .map(value => value / 255)
            .map(value => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };

    const ground = element => {
        for (let node = element; node; node = node.parentElement) {
            const colour = numbers(getComputedStyle(node).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) { return colour; }
        }
        return [255, 255, 255];
    };

    const isShown = element => !element.closest('script, style, template, noscript, .disabled, .vk-hidden')
        && element.checkVisibility({opacityProperty: true, visibilityProperty: true});

    const found = [];
    const walker = document.createTreeWalker(document.querySelector(root), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.textContent.trim();
        const element = walker.currentNode.parentElement;
        if (text && isShown(element)) {
            const one = luminance(numbers(getComputedStyle(element).color));
            const other = luminance(ground(element));
            found.push([(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), text]);
        }
    }
    return found;
}
