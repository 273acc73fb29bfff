"""Angle brackets of a mean, such as <v_z^2>, stay what they are: only the elements of HTML that pages use are read as HTML.

Markdown takes every word in angle brackets for an element, and a browser then shows nothing.
"""

from markdown.extensions import Extension
from markdown.inlinepatterns import HtmlInlineProcessor

__all__ = ["PlainAngles", "on_config"]

_ELEMENTS = "a|b|br|code|del|div|details|em|figure|figcaption|hr|i|img|kbd|p|pre|small|span|strong|sub|summary|sup"


class PlainAngles(Extension):
    def extendMarkdown(self, md):
        pattern = rf"(</?(?:{_ELEMENTS})(?:\s[^<>]*)?/?>|<!--(?:(?!<!--|-->).)*-->)"
        md.inlinePatterns.register(HtmlInlineProcessor(pattern, md), "html", 90)


def on_config(config):
    config.markdown_extensions.append(PlainAngles())
    return config
