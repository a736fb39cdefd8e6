"""A report file as a browser reads it: elements, their attributes, and the words between."""

from html.parser import HTMLParser


class Parsed(HTMLParser):
    """Every element with its attributes, and all words that are shown."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.shown, self.data, self._inside = [], [], {}, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append(dict(attrs).get("id", ""))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside.pop()

    def handle_data(self, data):
        if self._inside:
            self.data[self._inside[-1]] = self.data.get(self._inside[-1], "") + data
        else:
            self.shown.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.shown).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]
