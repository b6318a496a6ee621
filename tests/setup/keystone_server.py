"""Keystone with a database of its own, as `keystone-manage bootstrap` makes it, and then: the user `hub` with the project
`registry`, the user `guest` without any, the user that Swift checks tokens as, and Swift in the catalog of two regions.
Takes the address, the port, a directory and the address of Swift."""

import contextlib
import json
import pathlib
import sqlite3
import subprocess
import sys
import threading
import urllib.request
import wsgiref.simple_server

CONFIGURATION = """
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{directory}/keystone.db
[fernet_tokens]
key_repository = {directory}/fernet
[credential]
key_repository = {directory}/credential
[token]
expiration = 3600
[identity]
password_hash_rounds = 4
"""


class Counted:
    """The application, which also says at /count how many tokens it was asked for."""

    def __init__(self, application):
        self.application = application
        self.tokens = 0

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/count":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(self.tokens).encode()]
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith("/auth/tokens"):
            self.tokens += 1
        return self.application(environ, start_response)


class Client:
    """Asks as the administrator."""

    def __init__(self, url):
        self.url = url
        domain = {"id": "default"}
        user = {"name": "admin", "domain": domain, "password": "of the administrator"}
        scope = {"project": {"name": "admin", "domain": domain}}
        identity = {"methods": ["password"], "password": {"user": user}}
        _, headers = self.ask("POST", "/auth/tokens", {"auth": {"identity": identity, "scope": scope}}, {})
        self.headers = {"X-Auth-Token": headers["X-Subject-Token"]}

    def ask(self, method, path, body=None, headers=None):
        data = json.dumps(body).encode() if body is not None else None
        headers = dict(self.headers if headers is None else headers)
        headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return json.loads(text) if text else {}, answer.headers

    def make(self, kind, path, **values):
        made, _ = self.ask("POST", path, {kind: values})
        return made[kind]["id"]


def furnish(url, swift):
    client = Client(url)
    roles, _ = client.ask("GET", "/roles")
    roles = {role["name"]: role["id"] for role in roles["roles"]}
    projects = {name: client.make("project", "/projects", name=name) for name in ["service", "registry"]}
    people = [("swift", "service", "admin"), ("hub", "registry", "member"), ("guest", "registry", None)]
    for name, project, role in people:
        user = client.make("user", "/users", name=name, password=f"password of {name}")
        if role:
            client.ask("PUT", f"/projects/{projects[project]}/users/{user}/roles/{roles[role]}")

    client.make("region", "/regions", id="elsewhere")
    service = client.make("service", "/services", name="swift", type="object-store")
    for region, address in [("elsewhere", "http://127.0.0.1:1"), ("RegionOne", swift)]:
        url = f"{address}/v1/AUTH_$(project_id)s"
        client.make("endpoint", "/endpoints", service_id=service, interface="public", region_id=region, url=url)


def main():
    host, port, directory, swift = sys.argv[1:]
    directory = pathlib.Path(directory)
    file = directory / "keystone.conf"
    file.write_text(CONFIGURATION.format(directory=directory))
    url = f"http://{host}:{port}/v3"

    for keys in ["fernet", "credential"]:
        (directory / keys).mkdir()
    address = ["--bootstrap-public-url", url, "--bootstrap-region-id", "RegionOne"]
    owner = ["--keystone-user", "root", "--keystone-group", "root"]
    for step in [
        ["db_sync"],
        ["fernet_setup", *owner],
        ["credential_setup", *owner],
        ["bootstrap", "--bootstrap-password", "of the administrator", *address],
    ]:
        subprocess.run(["/usr/bin/keystone-manage", "--config-file", str(file), *step], check=True)

    # Otherwise who reads keeps others from writing.
    with contextlib.closing(sqlite3.connect(directory / "keystone.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")

    sys.argv = ["keystone", "--config-file", str(file)]
    from keystone.server.wsgi import initialize_public_application

    server = wsgiref.simple_server.make_server(host, int(port), Counted(initialize_public_application()))
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    furnish(url, swift)
    print("the identity service listens", flush=True)
    serving.join()


main()
