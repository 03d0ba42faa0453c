"""What chat templates may call, and how Jinja's filters treat what they are given: closed lists.

Sources: Jinja's template designer documentation, and the functions that Transformers gives to chat
templates.
"""

from __future__ import annotations

#: Attributes without underscores that lead from harmless objects into the interpreter.
INSIDES = frozenset({
    "mro", "func_globals", "func_code", "func_closure", "func_defaults", "im_class", "im_func",
    "im_self", "gi_frame", "gi_code", "gi_yieldfrom",
    "cr_frame", "cr_code", "cr_await", "cr_origin", "ag_frame", "ag_code", "ag_await", "f_globals",
    "f_locals", "f_builtins", "f_back", "f_code",
    "f_trace", "tb_frame", "tb_next", "co_code", "co_consts",
})  # fmt: skip

#: What Jinja gives every template.
GLOBALS = frozenset(
    {
        "range",
        "dict",
        "lipsum",
        "cycler",
        "joiner",
        "namespace",
        "self",
        "caller",
        "raise_exception",
        "strftime_now",
        "loop",
    }
)

#: What may be called by its name, beside macros.
FUNCTIONS = frozenset(
    {
        "range",
        "dict",
        "namespace",
        "cycler",
        "joiner",
        "lipsum",
        "raise_exception",
        "strftime_now",
        "caller",
        "super",
        "loop",
    }
)
#: Those that give objects of Jinja's own.
MAKERS = frozenset({"cycler", "joiner"})
#: Methods of these objects alone.
OF_OBJECTS = {"loop": frozenset({"cycle", "changed"})}
#: Numbers that a loop keeps.
COUNTERS = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"}
)

#: Methods of texts, lists and dictionaries, and of a cycler.
METHODS = frozenset({
    "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition",
    "startswith", "endswith", "upper", "lower", "title",
    "capitalize", "casefold", "swapcase", "replace", "join", "format", "format_map", "find",
    "rfind", "index", "rindex", "count", "zfill", "ljust",
    "rjust", "center", "removeprefix", "removesuffix", "isdigit", "isdecimal", "isnumeric",
    "isalpha", "isalnum", "isspace", "isupper", "islower",
    "istitle", "isascii", "isidentifier", "expandtabs",
    "items", "keys", "values", "get", "pop", "update", "setdefault", "copy", "append", "extend",
    "insert", "remove", "clear", "sort", "reverse",
    "next", "reset",
})  # fmt: skip
#: Methods that give what a list or a dictionary holds; some of them give it as a list.
OF_CONTAINERS = frozenset({"items", "keys", "values", "get", "pop", "setdefault", "copy"})
GIVE_LISTS = frozenset({"items", "keys", "values", "copy"})

#: Filters that give a number, the same items in another order or number, or one of them.
COUNTING = frozenset({"length", "count", "int", "float", "round", "abs", "wordcount"})
KEEPING = frozenset({
    "list", "sort", "unique", "select", "selectattr", "reject", "rejectattr", "batch", "slice",
    "groupby", "dictsort", "items",
})  # fmt: skip
TAKING = frozenset({"first", "last", "random", "min", "max"})

#: Filters that reach for attributes, and which of their arguments names one.
ATTRIBUTE_PLACES = {
    "selectattr": 0, "rejectattr": 0, "groupby": 0, "sum": 0, "unique": 1, "min": 1, "max": 1,
    "join": 1, "sort": 2, "map": 99,
}  # fmt: skip
