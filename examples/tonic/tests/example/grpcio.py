"""Two devices of a user, with Python's grpcio, go through the tonic example.

They know nothing of `devices.proto`: what the messages look like is asked of the server, by
reflection. Takes the server's host and port, and writes as JSON what it saw: the test compares.
"""

import json
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

TIMEOUT = 60


class Device:
    """A channel of its own, and the token of its sign-in."""

    def __init__(self, target, agent):
        options = [("grpc.primary_user_agent", agent), ("grpc.enable_http_proxy", 0)]
        self.channel = grpc.insecure_channel(target, options)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)
        self.token = None

    def services(self, version):
        """The names of the services, by this version of reflection; its messages are the same."""
        ask = self.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        [answer] = ask(iter([request]), timeout=TIMEOUT)
        return sorted(service.name for service in answer.list_services_response.service)

    def call(self, service, name, **fields):
        """The reply, or the status and its message."""
        method = self.pool.FindServiceByName(service).FindMethodByName(name)
        request = GetMessageClass(method.input_type)(**fields)
        ask = self.channel.unary_unary(
            f"/{service}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        shown = [("authorization", f"Bearer {self.token}")] if self.token else []
        try:
            reply, call = ask.with_call(request, metadata=shown, timeout=TIMEOUT)
        except grpc.RpcError as error:
            return [error.code().name, error.details()]
        self.token = dict(call.initial_metadata()).get("x-session-token", self.token)
        return MessageToDict(reply, preserving_proto_field_name=True)

    def login(self):
        return self.call("devices.v1.SignIn", "Login", user="alice", password="demo")

    def devices(self, name, **fields):
        return self.call("devices.v1.Devices", name, **fields)


def main(target):
    laptop, phone = Device(target, "laptop/1.0"), Device(target, "phone/1.0")
    seen = {"services": {version: laptop.services(version) for version in ("v1alpha", "v1")}}
    seen["guest"] = laptop.devices("WhoAmI")
    seen["wrong"] = laptop.call("devices.v1.SignIn", "Login", user="alice", password="no")
    seen["laptop"], seen["phone"] = laptop.login(), phone.login()
    seen["tokens"] = [laptop.token, phone.token]
    seen["who"] = [laptop.devices("WhoAmI"), phone.devices("WhoAmI")]
    seen["list"] = laptop.devices("ListDevices")
    seen["end"] = laptop.devices("EndDevice", id=seen["phone"]["device_id"])
    seen["phone_afterwards"] = phone.devices("WhoAmI")
    seen["laptop_afterwards"] = laptop.devices("WhoAmI")
    seen["logout"] = laptop.devices("Logout")
    seen["nobody"] = laptop.devices("WhoAmI")
    json.dump(seen, sys.stdout)


main(sys.argv[1])
