"""OpenStack Swift with one disk: the real proxy, account, container and object servers, which speak to each other over
loopback, in one process. Takes the address, five ports (the proxy's first, memcached's last), a directory, the address of a
Keystone or `-` for TempAuth, and how many segments an object may have."""

import array
import pathlib
import sys

import eventlet

eventlet.monkey_patch()

from eventlet import wsgi
from swift.account import server as account
from swift.common import storage_policy, utils
from swift.common.ring import RingData
from swift.common.wsgi import SwiftHttpProtocol, loadapp
from swift.container import server as container
from swift.obj import server as objects

TEMPAUTH = """
[filter:auth]
use = egg:swift#tempauth
user_hub_bucket = secret-of-the-hub .admin
user_hub_guest = secret-of-a-guest
"""

KEYSTONE = """
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = swift
password = password of swift
delay_auth_decision = True
cache = swift.cache
interface = public

[filter:auth]
use = egg:swift#keystoneauth
operator_roles = admin, member
"""

PROXY = """
[DEFAULT]
swift_dir = {directory}

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl {auth} container-quotas copy slo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 60
conn_timeout = 10
allow_account_management = true

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = {memcached}
connect_timeout = 10
pool_timeout = 10
io_timeout = 10
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
max_manifest_segments = {segments}
"""


def ring(directory, name, host, port):
    """Where everything of one kind is: on the only disk."""
    device = {"id": 0, "region": 1, "zone": 1, "device": "disk", "ip": host, "port": port, "weight": 1.0}
    device.update({"replication_ip": host, "replication_port": port})
    RingData([array.array("H", [0, 0])], [device], 31).save(str(directory / f"{name}.ring.gz"))


def main():
    host, *ports, directory, keystone, segments = sys.argv[1:]
    proxy_port, account_port, container_port, object_port, memcached_port = map(int, ports)
    directory = pathlib.Path(directory)
    (directory / "devices" / "disk").mkdir(parents=True, exist_ok=True)

    utils.HASH_PATH_SUFFIX = b"tests"
    utils.HASH_PATH_PREFIX = b""
    utils.validate_hash_conf = lambda: None
    for name, port in [("account", account_port), ("container", container_port), ("object", object_port)]:
        ring(directory, name, host, port)

    filters = TEMPAUTH if keystone == "-" else KEYSTONE
    values = {"directory": directory, "memcached": f"{host}:{memcached_port}", "keystone": keystone}
    values["auth"] = "auth" if keystone == "-" else "authtoken auth"
    values["segments"] = segments
    (directory / "proxy.conf").write_text((PROXY + filters).format(**values))

    quiet = open(directory / "access.log", "a")
    # What does not reach a listing in time is left to a process that does not run here.
    patience = {"container_update_timeout": "60", "node_timeout": "60", "conn_timeout": "10"}
    conf = {"devices": str(directory / "devices"), "mount_check": "false", "swift_dir": str(directory), **patience}
    apps = [
        (account_port, account.AccountController(conf)),
        (container_port, container.ContainerController(conf)),
        (object_port, objects.ObjectController(conf)),
        (proxy_port, loadapp(str(directory / "proxy.conf"))),
    ]
    serving = [
        eventlet.spawn(wsgi.server, eventlet.listen((host, port)), app, quiet, protocol=SwiftHttpProtocol)
        for port, app in apps
    ]
    print("the store listens", flush=True)
    for server in serving:
        server.wait()


main()
