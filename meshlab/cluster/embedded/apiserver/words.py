"""Is a text a name, a label, a path segment? And if not, what does Kubernetes say?

Each function answers with the problem, or with nothing.
"""

from __future__ import annotations

import re

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SERVICE = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_QUALIFIED})?"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"

_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_SERVICE_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    f"and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_SERVICE}')"
)
QUALIFIED_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE}')"
)
_CONFIG_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    f"'key-name', regex used for validation is '{_CONFIG_KEY}')"
)


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def broken_namespace(text: str) -> str:
    """The name of a namespace: a label."""
    return "must not contain dots" if "." in text else broken_label(text)


def broken_label(text: str) -> str:
    """RFC 1123 label."""
    if len(text) > 63:
        return _too_long(63)
    return "" if re.fullmatch(_LABEL, text) else _LABEL_WORDS


def broken_subdomain(text: str) -> str:
    """RFC 1123 subdomain."""
    if len(text) > 253:
        return _too_long(253)
    return "" if re.fullmatch(_SUBDOMAIN, text) else _SUBDOMAIN_WORDS


def broken_service_name(text: str) -> str:
    """RFC 1035 label."""
    if len(text) > 63:
        return _too_long(63)
    return "" if re.fullmatch(_SERVICE, text) else _SERVICE_WORDS


def broken_path_segment(text: str) -> str:
    """What may stand between two slashes."""
    if text in (".", ".."):
        return f"may not be '{text}'"
    return next((f"may not contain '{sign}'" for sign in "/%" if sign in text), "")


def broken_qualified_name(text: str) -> str:
    """A name with an optional DNS prefix: `example.com/name`."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        prefixed = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return f"a qualified name {QUALIFIED_WORDS} {prefixed}"
    if slash and not prefix:
        return "prefix part must be non-empty"
    if slash and (problem := broken_subdomain(prefix)):
        return f"prefix part {problem}"
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return f"name part {_too_long(63)}"
    return "" if re.fullmatch(_QUALIFIED, name) else f"name part {QUALIFIED_WORDS}"


def broken_label_value(text: str) -> str:
    """The value of a label."""
    if len(text) > 63:
        return _too_long(63)
    return "" if re.fullmatch(_VALUE, text) else _VALUE_WORDS


def broken_config_key(text: str) -> str:
    """The key of a ConfigMap or Secret."""
    if len(text) > 253:
        return _too_long(253)
    if text in (".", ".."):
        return f"must not be '{text}'"
    return "" if re.fullmatch(_CONFIG_KEY, text) else _CONFIG_WORDS


def broken_port(number: object) -> str:
    """A TCP or UDP port."""
    fits = isinstance(number, int) and 1 <= number <= 65535
    return "" if fits else "must be between 1 and 65535, inclusive"


def broken_port_name(text: str) -> str:
    """The name of a container's port, as IANA has service names."""
    if len(text) > 15:
        return "must be no more than 15 characters"
    if not re.fullmatch(r"[-a-z0-9]+", text):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search(r"[a-z]", text):
        return "must contain at least one letter (a-z)"
    if "--" in text:
        return "must not contain consecutive hyphens"
    return "must not begin or end with a hyphen" if text[0] == "-" or text[-1] == "-" else ""
