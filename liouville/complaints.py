"""Validation errors in one line: the key, what is wrong, what is allowed, what was given."""

from typing import Any

from pydantic import BaseModel, ValidationError

from liouville.errors import Misfit

TEXTS = ("missing", "value_error", "too_short", "union_tag_not_found")  # what these say needs no "not ..."


def complaint(error: ValidationError, given: Any, model: Any, where: str = "") -> str:
    """The first of pydantic's complaints about `given`, validated as `model` at the key `where`, in one line."""
    first = error.errors(include_url=False)[0]
    kind, context = first["type"], first.get("ctx", {})
    keys = [where, *_keys(first["loc"], given, kind)]
    misfit = context.get("error")
    if isinstance(misfit, Misfit):
        return f"{'.'.join(filter(None, [*keys, misfit.key]))}: {misfit.message}"
    key = ".".join(filter(None, keys)) or "run file"
    message = (
        first["msg"]
        .removeprefix("Value error, ")
        .replace("Tuple", "List")
        .replace("tuple", "list")
        .replace(" after validation", "")
    )
    if kind == "extra_forbidden":
        return f"{key}: unknown key; allowed are {', '.join(_siblings(first['loc'], model))}"
    if kind == "union_tag_invalid" and context["discriminator"] == "'kind'":
        return f"{key}.kind: must be one of {context['expected_tags']}, not {context['tag']!r}"
    if kind == "union_tag_invalid":
        allowed = context["expected_tags"].replace("'", "").replace(", ", " or ")
        return f"{key}: must be {allowed}, not {shown(first['input'])}"
    if kind == "union_tag_not_found":
        return f"{key}.kind: field required"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{key}: must be a table, not {shown(first['input'])}"
    if kind == "tuple_type":
        return f"{key}: must be a list, not {shown(first['input'])}"
    if kind == "missing" and isinstance(last := first["loc"][-1], int):
        return f"{key.removesuffix(f'.{last}')}: list should have at least {last + 1} items, not {last}"
    message = message[0].lower() + message[1:]
    return f"{key}: {message}" if kind in TEXTS else f"{key}: {message}, not {shown(first['input'])}"


def shown(value: Any) -> str:
    """A value as TOML, shortened."""
    text = toml(value)
    return text if len(text) <= 60 else text[:57] + "..."


def toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return repr(value)


def _keys(location: tuple[Any, ...], given: Any, kind: str) -> list[str]:
    """The part of pydantic's location that is keys of the run file; the rest tells the members of unions apart."""
    keys = []
    for step, key in enumerate(location):
        try:
            given = given[key]
        except (KeyError, IndexError, TypeError):
            if kind != "missing" or step < len(location) - 1:
                continue
        keys.append(str(key))
    return keys


def _siblings(location: tuple[Any, ...], model: Any) -> list[str]:
    """The keys that the table holding the last key of `location` may have."""
    members = _models(model)
    for key in location[:-1]:
        fields = [m.model_fields[key].annotation for m in members if key in m.model_fields]
        named = [m for m in members if key in (m.__name__, getattr(m.model_fields.get("kind"), "default", None))]
        if fields:
            members = [found for annotation in fields for found in _models(annotation)]
        elif named:
            members = named
    return list(members[0].model_fields)


def _models(annotation: Any) -> list[Any]:
    """The tables among the members of a union, however nested."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models(argument)]
