"""What people at a desk ask of their node, one topic a module, one coroutine per method.

A topic is a gRPC service of its own: `proto/huying/wire/v1/TOPIC.proto` declares it, a module
handles it. A handler takes the node and the request and returns the response, as those of
`huying.node.admin` do; the running node serves them (`huying.node.api.topic_service`), and the
command line asks by `huying.node.cli.administer.ask_desk`.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from huying.common.errors import Code, HuyingError

if TYPE_CHECKING:
    from huying.node.admin import Handler

__all__ = ["NODE_TOPICS", "Topic", "topic"]

_PACKAGE: Final = "huying.wire.v1"


@dataclass(frozen=True, slots=True)
class Topic:
    """One service of the desk."""

    name: str  # of the gRPC service, e.g. "Provisions"
    proto: str  # of the file that declares it, without its ending: "provision"
    handlers: str  # the module with a coroutine for each method, in snake case

    @property
    def service(self) -> str:
        """The service's full name."""
        return f"{_PACKAGE}.{self.name}"

    def generated(self, suffix: str = "") -> Any:
        """The generated module: of the messages, or with "_grpc" that of the service."""
        return importlib.import_module(f"{_PACKAGE}.{self.proto}_pb2{suffix}")

    def methods(self) -> tuple[str, ...]:
        """The names of the service's methods."""
        service = self.generated().DESCRIPTOR.services_by_name[self.name]
        return tuple(method.name for method in service.methods)

    def handler(self, method: str) -> Handler:
        """The handler of a method, loaded now. Raises HuyingError(INVALID_ARGUMENT)."""
        if method not in self.methods():
            raise HuyingError(Code.INVALID_ARGUMENT, f"no method {self.name}/{method}")
        function = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method).lower()
        found: Handler = getattr(importlib.import_module(self.handlers), function)
        return found


# What every node serves; a hub adds its own.
NODE_TOPICS: Final[tuple[Topic, ...]] = (
    Topic("Provisions", "provision", "huying.node.desk.provisions"),
    Topic("Departments", "provision", "huying.node.desk.departments"),
    Topic("Census", "census", "huying.node.desk.census"),
    Topic("Hotline", "hotline", "huying.node.desk.hotline"),
    Topic("EventDesk", "events", "huying.node.desk.events"),
)


def topic(name: str) -> Topic:
    """The topic of that name among those that every node serves. Raises KeyError."""
    return {one.name: one for one in NODE_TOPICS}[name]
