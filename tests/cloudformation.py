"""Resolves deploy/aws/template.yaml as far as tests need: tags, conditions and references."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.support import ROOT

TEMPLATE = ROOT / "deploy" / "aws" / "template.yaml"
_NO_VALUE = object()


class _Loader(yaml.SafeLoader):
    """A YAML loader for CloudFormation's short forms: `!Ref x` is `{"Ref": "x"}`."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def load() -> dict[str, Any]:
    template: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)
    return template


class Deployed:
    """The template as deployed with `parameters`.

    `names` gives the value of each `Ref` to a resource and, as `Resource.Attribute`, of each
    `Fn::GetAtt`.
    """

    def __init__(self, parameters: Mapping[str, str], names: Mapping[str, str]) -> None:
        self.template = load()
        defaults = {
            name: str(parameter.get("Default", ""))
            for name, parameter in self.template["Parameters"].items()
        }
        self._values = {**defaults, **names, **parameters}

    def has(self, resource: str) -> bool:
        """Whether the resource exists under these parameters."""
        condition = self.template["Resources"][resource].get("Condition")
        return condition is None or self._holds(condition)

    def policy(self, resource: str) -> list[dict[str, Any]]:
        """The resolved statements of a policy, or of a role's inline policy."""
        properties = self.template["Resources"][resource]["Properties"]
        document = properties.get("Policies", [properties])[0]["PolicyDocument"]
        statements: list[dict[str, Any]] = self._resolve(document)["Statement"]
        return statements

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            resolved = [self._resolve(item) for item in value]
            return [item for item in resolved if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return _NO_VALUE if argument == "AWS::NoValue" else self._values[argument]
            if name == "Fn::GetAtt":
                return self._values[".".join(argument)]
            if name == "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda m: self._values[m[1]], argument)
            if name == "Fn::If":
                condition, yes, no = argument
                return self._resolve(yes if self._holds(condition) else no)
            if name == "Fn::Equals":
                first, second = map(self._resolve, argument)
                return first == second
            if name == "Fn::Join":
                separator, parts = map(self._resolve, argument)
                return separator.join(parts)
            if name == "Fn::Not":
                return not self._resolve(argument[0])
        return {name: self._resolve(item) for name, item in value.items()}

    def _holds(self, condition: str) -> bool:
        return bool(self._resolve(self.template["Conditions"][condition]))
