"""The template as CloudFormation reads it: its functions (`!Sub`, `!If`, ...) answered for given parameters."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
REGION, ACCOUNT = "eu-west-1", "123456789012"
NO_VALUE = object()


class _Loader(yaml.SafeLoader):
    pass


def _tagged(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {"Ref" if tag == "Ref" else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _tagged)


class Template:
    """The template for these values of its parameters; the defaults for the others."""

    def __init__(self, **parameters: str):
        self.source = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
        defaults = {name: spec["Default"] for name, spec in self.source["Parameters"].items()}
        self._parameters = {
            name: str(value).split(",") if self.source["Parameters"][name]["Type"] == "CommaDelimitedList" else value
            for name, value in (defaults | parameters).items()
        }

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of this type, by logical id, with every function in them answered."""
        return {
            name: self._answer(resource.get("Properties", {}))
            for name, resource in self.source["Resources"].items()
            if resource["Type"] == kind
        }

    def functions(self) -> dict[str, dict[str, Any]]:
        return self.resources("AWS::Serverless::Function")

    def environment(self, function: str) -> dict[str, str]:
        everywhere = self._answer(self.source["Globals"]["Function"]["Environment"]["Variables"])
        own = self.functions()[function].get("Environment", {}).get("Variables", {})
        return everywhere | own

    def statements(self, function: str) -> list[dict[str, Any]]:
        """What the role of this function may do: its own policies and the managed ones of this template."""
        role = self.resources("AWS::IAM::Role")[self.functions()[function]["Role"].removesuffix(".Arn")]
        managed = self.resources("AWS::IAM::ManagedPolicy")
        documents = [policy["PolicyDocument"] for policy in role["Policies"]]
        documents += [managed[name]["PolicyDocument"] for name in role.get("ManagedPolicyArns", [])]
        return [statement for document in documents for statement in document["Statement"]]

    def _answer(self, node: Any) -> Any:
        if isinstance(node, list):
            return [answer for item in node if (answer := self._answer(item)) is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            if function == "Ref":
                return self._ref(argument)
            if function.startswith("Fn::"):
                return getattr(self, "_" + function.removeprefix("Fn::").lower())(argument)
        answers = {name: self._answer(value) for name, value in node.items()}
        return {name: answer for name, answer in answers.items() if answer is not NO_VALUE}

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::StackName": "stack",
            "AWS::NoValue": NO_VALUE,
        }
        return pseudo.get(name, self._parameters.get(name, name))

    def _getatt(self, argument: str) -> str:
        return argument

    def _sub(self, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else (argument[0], self._answer(argument[1]))
        return re.sub(r"\$\{([^}]+)\}", lambda match: str(variables.get(match[1], self._ref(match[1]))), text)

    def _join(self, argument: Any) -> str:
        return argument[0].join(self._answer(argument[1]))

    def _split(self, argument: Any) -> list[str]:
        return self._answer(argument[1]).split(argument[0])

    def _if(self, argument: Any) -> Any:
        condition, then, otherwise = argument
        return self._answer(then if self._holds(self.source["Conditions"][condition]) else otherwise)

    def _holds(self, condition: dict[str, Any]) -> bool:
        (function, argument), = condition.items()
        if function == "Fn::Not":
            return not self._holds(argument[0])
        if function == "Fn::Equals":
            return self._answer(argument[0]) == self._answer(argument[1])
        raise NotImplementedError(function)
