"""Resolves deploy/aws/template.yaml as far as tests need: tags, conditions and references."""

import copy
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
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
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def _parsed(path: Path) -> dict[str, Any]:
    template: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return template


def load(path: Path = TEMPLATE) -> dict[str, Any]:
    return copy.deepcopy(_parsed(path))


class Deployed:
    """The template as deployed with `parameters`.

    `names` gives the value of each `Ref` to a resource and, as `Resource.Attribute`, of each
    `Fn::GetAtt`.
    """

    def __init__(self, parameters: Mapping[str, str], names: Mapping[str, str]) -> None:
        self.template = load()
        declared = self.template["Parameters"]
        given = {
            name: parameters.get(name, str(parameter.get("Default", "")))
            for name, parameter in declared.items()
        }
        lists = {
            name: given[name].split(",")
            for name, parameter in declared.items()
            if parameter["Type"] == "CommaDelimitedList"
        }
        self._values: dict[str, Any] = {**names, **given, **lists}

    def refusals(self) -> list[str]:
        """What CloudFormation says of these parameters instead of deploying, by the rules."""
        return [
            assertion["AssertDescription"]
            for rule in self.template["Rules"].values()
            if self._resolve(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self._resolve(assertion["Assert"])
        ]

    def properties(self, resource: str) -> dict[str, Any]:
        """The resolved properties of a resource."""
        body = self.template["Resources"][resource]
        properties: dict[str, Any] = self._resolve(body["Properties"])
        return properties

    def has(self, resource: str) -> bool:
        """Whether the resource exists under these parameters."""
        return self.exists(self.template["Resources"][resource])

    def exists(self, body: Mapping[str, Any]) -> bool:
        """Whether this resource or output exists under these parameters."""
        condition = body.get("Condition")
        return condition is None or self._holds(condition)

    def decide(self, value: Any) -> Any:
        """`value` with each `Fn::If` decided, and all else as it is."""
        if isinstance(value, list):
            decided = [self.decide(item) for item in value]
            return [item for item in decided if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Fn::If"}:
            condition, yes, no = value["Fn::If"]
            return self.decide(yes if self._holds(condition) else no)
        if value == {"Ref": "AWS::NoValue"}:
            return _NO_VALUE
        decided_items = {name: self.decide(item) for name, item in value.items()}
        return {name: item for name, item in decided_items.items() if item is not _NO_VALUE}

    def policy(self, resource: str) -> list[dict[str, Any]]:
        """The resolved statements of a policy, or of a role's inline policy."""
        properties = self.template["Resources"][resource]["Properties"]
        document = properties.get("Policies", [properties])[0]["PolicyDocument"]
        statements: list[dict[str, Any]] = self._resolve(document)["Statement"]
        return statements

    def environment(self) -> dict[str, str]:
        """The environment of the function."""
        function = self.template["Resources"]["Function"]["Properties"]
        variables: dict[str, str] = self._resolve(function["Environment"]["Variables"])
        return variables

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
                text, given = argument if isinstance(argument, list) else (argument, {})
                values = {**self._values, **self._resolve(given)}
                return re.sub(r"\$\{([^}]+)\}", lambda m: values[m[1]], text)
            if name == "Fn::If":
                condition, yes, no = argument
                return self._resolve(yes if self._holds(condition) else no)
            if name == "Fn::Equals":
                first, second = map(self._resolve, argument)
                return first == second
            if name == "Fn::EachMemberEquals":
                members, wanted = map(self._resolve, argument)
                return all(member == wanted for member in members)
            if name == "Fn::Join":
                separator, parts = map(self._resolve, argument)
                return separator.join(parts)
            if name == "Fn::Select":
                return self._resolve(argument[1])[int(argument[0])]
            if name == "Fn::Not":
                return not self._resolve(argument[0])
            if name == "Fn::And":
                return all(map(self._resolve, argument))
            if name == "Fn::Or":
                return any(map(self._resolve, argument))
            if name == "Condition" and isinstance(argument, str):
                return self._holds(argument)
        return {name: self._resolve(item) for name, item in value.items()}

    def _holds(self, condition: str) -> bool:
        return bool(self._resolve(self.template["Conditions"][condition]))


def as_deployed(parameters: Mapping[str, str]) -> dict[str, Any]:
    """The template with only those resources and outputs that these parameters give, and without
    its conditions, which are decided."""
    deployed = Deployed(parameters, {})
    template = deployed.template
    for name, value in parameters.items():
        template["Parameters"][name]["Default"] = value
    for section in ("Resources", "Outputs"):
        template[section] = {
            name: {key: deployed.decide(part) for key, part in body.items() if key != "Condition"}
            for name, body in template[section].items()
            if deployed.exists(body)
        }
    del template["Conditions"]
    return template
