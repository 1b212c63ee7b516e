"""Helpers for the tests of `mcpwrap log export`.

`receive`: a local OTLP receiver for JSON and protobuf. Prints its port, then the log records of each request as
decoded by the protocol's own messages. `validate`: reads OCSF events and prints the violations of their schema.
"""

import gzip
import http.server
import json
import sys


def receive():
    from google.protobuf import json_format
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
        ExportLogsServiceRequest,
        ExportLogsServiceResponse,
    )

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            content_type = self.headers["content-type"]
            status = 200
            try:
                assert self.path == "/v1/logs", self.path
                if content_type == "application/json":
                    request = json_format.Parse(body, ExportLogsServiceRequest())
                else:
                    request = ExportLogsServiceRequest.FromString(body)
                for resource in request.resource_logs:
                    service = named(resource.resource.attributes)["service.name"]
                    of = {"content_type": content_type, "service": service}
                    for scope in resource.scope_logs:
                        for log in scope.log_records:
                            print(json.dumps(of | shown(log)), flush=True)
            except Exception as problem:
                status = 400
                print(json.dumps({"problem": str(problem)}), flush=True)
            answer = ExportLogsServiceResponse()
            if content_type == "application/json":
                answer = json_format.MessageToJson(answer).encode()
            else:
                answer = answer.SerializeToString()
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    def plain(value):
        return getattr(value, value.WhichOneof("value"))

    def named(attributes):
        return {one.key: plain(one.value) for one in attributes}

    def shown(log):
        return {
            "event": log.event_name,
            "time": log.time_unix_nano,
            "severity": log.severity_number,
            "body": plain(log.body),
            "attributes": named(log.attributes),
        }

    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    print(server.server_port, flush=True)
    server.serve_forever()


def validate():
    import jsonschema
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

    schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.5.0"))
    validators = {}
    count = 0
    for line in sys.stdin:
        event = json.loads(line)
        uid = event["class_uid"]
        if uid not in validators:
            name = schemas.lookup_class_name_from_uid(uid)
            schema = schemas.get_class_schema(name, event["metadata"].get("profiles", []))
            validators[uid] = jsonschema.Draft202012Validator(schema)
        count += 1
        for error in validators[uid].iter_errors(event):
            path = "/".join(str(part) for part in error.absolute_path)
            print(f"{event['metadata']['event_code']}: {path}: {error.message[:200]}")
    print(f"validated {count}")


{"receive": receive, "validate": validate}[sys.argv[1]]()
