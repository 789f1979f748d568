"""Compares responses, as they came over the wire, with the service models that botocore ships.

botocore itself ignores members that it does not know and converts types where it can; here both are faults.
"""

import json
import re
import xml.etree.ElementTree as ElementTree

NUMBERS = {"integer": int, "long": int, "double": (int, float), "float": (int, float), "timestamp": (int, float)}
ISO_8601 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")


class Faults(list):
    """What is wrong with the responses seen so far; each client that is watched adds to it."""

    def __init__(self):
        super().__init__()
        self.operations = set()

    def watch(self, client) -> None:
        """Checks every successful response that the client gets from now on."""
        client.meta.events.register("before-parse.*", self.check)

    def check(self, operation_model, response_dict, **_) -> None:
        """Checks one response before botocore reads it."""
        if response_dict["status_code"] >= 300:
            return
        name = operation_model.name
        self.operations.add(name)
        body, shape = response_dict["body"], operation_model.output_shape
        if shape is None:
            if body.strip():
                self.append(f"{name} has no reply, and is answered with {body[:100]}")
            return
        match operation_model.service_model.protocol:
            case "json":
                self.json(shape, json.loads(body), name)
            case "ec2":
                root = self.root(body, f"{name}Response")
                self.structure(shape, {child: child.tag for child in root if child.tag != "requestId"}, name)
            case "query":
                root = self.root(body, f"{name}Response")
                result = root.find(shape.serialization["resultWrapper"])
                self.structure(shape, {child: child.tag for child in result}, name)
            case other:
                self.append(f"{name}: protocol {other} is not known here")

    def json(self, shape, value, path: str) -> None:
        """A value of AWS JSON 1.1."""
        kind = shape.type_name
        if value is None:
            # Absent members are left out by the service.
            self.append(f"{path} is null")
        elif kind == "structure":
            for key, member in value.items() if self.expect(value, dict, path) else ():
                if key in shape.members:
                    self.json(shape.members[key], member, f"{path}.{key}")
                else:
                    self.append(f"{path}.{key} is not in the model")
        elif kind == "list":
            for index, member in enumerate(value) if self.expect(value, list, path) else ():
                self.json(shape.member, member, f"{path}[{index}]")
        elif kind == "map":
            for key, member in value.items() if self.expect(value, dict, path) else ():
                self.json(shape.value, member, f"{path}.{key}")
        elif kind == "string":
            if self.expect(value, str, path):
                self.member_of(shape, value, path)
        elif kind == "boolean":
            self.expect(value, bool, path)
        elif kind in NUMBERS:
            # A boolean is an int to Python, but not to anybody else.
            self.expect(None if isinstance(value, bool) else value, NUMBERS[kind], path)

    def root(self, body: bytes, name: str):
        """The document's element, its namespace removed throughout."""
        root = ElementTree.fromstring(body)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        if root.tag != name:
            self.append(f"the document is {root.tag}, not {name}")
        return root

    def structure(self, shape, children: dict, path: str) -> None:
        """Elements of one XML structure."""
        by_element = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for child, tag in children.items():
            if tag in by_element:
                self.xml(by_element[tag], child, f"{path}.{tag}")
            else:
                self.append(f"{path}.{tag} is not in the model")

    def xml(self, shape, element, path: str) -> None:
        """A value of the EC2 or query protocol."""
        kind, text = shape.type_name, (element.text or "").strip()
        if kind == "structure":
            self.structure(shape, {child: child.tag for child in element}, path)
        elif kind == "list":
            item = shape.member.serialization.get("name", "item")
            for index, child in enumerate(element):
                if child.tag == item:
                    self.xml(shape.member, child, f"{path}[{index}]")
                else:
                    self.append(f"{path} has <{child.tag}>, not <{item}>")
        elif kind == "boolean" and text not in ("true", "false"):
            self.append(f"{path} is {text!r}, not a boolean")
        elif kind in ("integer", "long") and not re.fullmatch(r"-?\d+", text):
            self.append(f"{path} is {text!r}, not a number")
        elif kind == "timestamp" and not ISO_8601.fullmatch(text):
            self.append(f"{path} is {text!r}, not an ISO 8601 time")
        elif kind == "string":
            self.member_of(shape, text, path)

    def member_of(self, shape, text: str, path: str) -> None:
        """Closed sets of the model hold the text."""
        allowed = getattr(shape, "enum", None)
        if allowed and text not in allowed:
            self.append(f"{path} is {text!r}, none of {', '.join(allowed)}")

    def expect(self, value, kind, path: str) -> bool:
        """The value has the type."""
        right = isinstance(value, kind)
        if not right:
            self.append(f"{path} is {type(value).__name__}")
        return right
