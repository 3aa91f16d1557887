"""Draws the font of the characters that most computers have no glyph for: ``static/fonts/vulyk-print.woff``.

Run it after changing a drawing: ``python make_font.py`` (needs the package ``fonttools``; nothing else does).
"""

from collections.abc import Callable
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

TARGET = Path(__file__).parent.parent / 'vulyk_transcription' / 'static' / 'fonts' / 'vulyk-print.woff'
UNITS = 1000  # of the em square; x-height about 500
MADE = 3_900_000_000  # seconds since 1904: a fixed date, so that the same drawings give the same file


def nothing(pen: TTGlyphPen) -> None:
    """The empty glyph every font begins with."""


def double_hyphen(pen: TTGlyphPen) -> None:
    """U+2E17: two short strokes, one above the other, rising to the right."""
    for bottom in (150, 305):
        pen.moveTo((50, bottom))
        pen.lineTo((50, bottom + 70))
        pen.lineTo((390, bottom + 140))
        pen.lineTo((390, bottom + 70))
        pen.closePath()


def r_rotunda(pen: TTGlyphPen) -> None:
    """U+A75B: the round r, shaped like a small 2 with a waved foot."""
    pen.moveTo((45, 350))
    pen.qCurveTo((60, 510), (215, 510))
    pen.qCurveTo((370, 510), (370, 385))
    pen.qCurveTo((370, 290), (255, 190))
    pen.lineTo((165, 108))
    pen.qCurveTo((215, 118), (270, 96))
    pen.qCurveTo((330, 72), (372, 112))
    pen.lineTo((405, 86))
    pen.qCurveTo((355, -14), (258, 8))
    pen.qCurveTo((140, 38), (60, -4))
    pen.lineTo((38, 30))
    pen.lineTo((185, 180))
    pen.qCurveTo((278, 280), (278, 380))
    pen.qCurveTo((278, 460), (200, 460))
    pen.qCurveTo((150, 460), (132, 405))
    pen.qCurveTo((126, 360), (90, 348))
    pen.qCurveTo((66, 340), (45, 350))
    pen.closePath()


GLYPHS: dict[str, tuple[int | None, int, Callable[[TTGlyphPen], None]]] = {  # name: (code point, advance, drawing)
    '.notdef': (None, 500, nothing),
    'doubleobliquehyphen': (0x2E17, 440, double_hyphen),
    'rrotunda': (0xA75B, 435, r_rotunda),
}


def main() -> None:
    """Write the font."""
    builder = FontBuilder(UNITS, isTTF=True)
    builder.setupGlyphOrder(list(GLYPHS))
    builder.setupCharacterMap({code: name for name, (code, _, _) in GLYPHS.items() if code})
    drawn = {}
    for name, (_, _, draw) in GLYPHS.items():
        pen = TTGlyphPen(None)
        draw(pen)
        drawn[name] = pen.glyph()
    builder.setupGlyf(drawn)
    bearings = {name: getattr(glyph, 'xMin', 0) for name, glyph in drawn.items()}
    builder.setupHorizontalMetrics({name: (advance, bearings[name]) for name, (_, advance, _) in GLYPHS.items()})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({'familyName': 'Vulyk Print', 'styleName': 'Regular'})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200, sxHeight=500)
    builder.setupPost()
    builder.updateHead(created=MADE, modified=MADE)
    builder.font.recalcTimestamp = False
    builder.font.flavor = 'woff'
    builder.save(TARGET)


if __name__ == '__main__':
    main()
