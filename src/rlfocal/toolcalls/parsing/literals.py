"""Lists and objects that stand in a text of their own, the collections of Java among them."""

from __future__ import annotations

import re

from rlfocal.toolcalls.parsing.reader import GENERIC, Reader, Unreadable
from rlfocal.toolcalls.values import JSON

__all__ = ["literal"]

_PUT = re.compile(r"\s*(?:this\s*\.\s*)?put\s*(?=\()")
_LISTS = frozenset({"Arrays.asList", "List.of", "Set.of", "ImmutableList.of", "Array.of"})
_NEW_LISTS = frozenset({"ArrayList", "LinkedList", "HashSet", "Array", "Set", "Vector"})
_NEW_MAPS = frozenset({"HashMap", "LinkedHashMap", "TreeMap", "Map"})


def literal(text: str) -> JSON:
    """Read a list or an object as a whole, Java's collections among them; None for anything else.

    >>> literal("{a: ['x', null]}"), literal('new ArrayList<>(Arrays.asList("x", "y"))')
    ({'a': ['x', None]}, ['x', 'y'])
    """
    if text[:1] not in ("[", "{", "(") and not text.endswith((")", "}")):
        return None
    reader = _Collections(text, 0)
    try:
        value = reader.collection(0)
    except Unreadable:
        return None
    return value if reader.kind is None and isinstance(value, (list, dict)) else None


class _Collections(Reader):
    """Reads one collection."""

    def collection(self, depth: int) -> JSON:
        """A list or an object, in Java's words too."""
        generic = GENERIC.match(self.text, self.start) if self.token == "new" else None
        if generic is not None:
            name = generic[1].rpartition(".")[2]
            self.jump(generic.end())
            if generic[2]:  # new String[]{"x", "y"}
                return self._braced(depth)
            if name in _NEW_MAPS:
                return self._map(depth)
            if name not in _NEW_LISTS:
                raise Unreadable
            return self._new_list(name, depth)
        if self.kind == "name" and self.token in _LISTS:
            self.advance()
            return self._arguments(depth)
        return self.value(depth)

    def _braced(self, depth: int) -> list[JSON]:
        self.skip("{")
        found: list[JSON] = []
        while self.token != "}" or self.kind != "mark":
            found.append(self.value(depth + 1))
            if self.token == ",":
                self.advance()
            elif self.token != "}":
                raise Unreadable
        self.advance()
        return found

    def _arguments(self, depth: int) -> list[JSON]:
        if self.token != "(":
            raise Unreadable
        found = self.items(depth + 1)
        return found if isinstance(found, list) else [found]

    def _new_list(self, name: str, depth: int) -> list[JSON]:
        self.skip("(")
        is_wrapped = self.kind == "name" and (self.token in _LISTS or self.token == "new")
        if not is_wrapped and name not in ("Array", "Set") and self.token != ")":
            raise Unreadable
        found: list[JSON] = []
        while self.token != ")" or self.kind != "mark":
            one = self.collection(depth + 1) if is_wrapped and depth < 4 else self.value(depth + 1)
            found.append(one)
            if self.token == ",":
                self.advance()
            elif self.token != ")":
                raise Unreadable
        self.advance()
        return found[0] if is_wrapped and isinstance(found[0], list) else found

    def _map(self, depth: int) -> dict[str, JSON]:
        if self._arguments(depth):
            raise Unreadable
        found: dict[str, JSON] = {}
        if self.kind is None:
            return found
        self.skip("{")
        self.skip("{")
        while self.kind == "name":
            put = _PUT.match(self.text, self.start)
            if put is None:
                raise Unreadable
            self.jump(put.end())
            pair = self._arguments(depth)
            if len(pair) != 2:
                raise Unreadable
            found[str(pair[0])] = pair[1]
            self.skip(";")
        self.skip("}")
        self.skip("}")
        return found
