"""Who serves the same content: Portcullis, nginx as a cache and with files, varnish, and two generations of the
registry everybody runs, as pull-through caches. Each has the settings its manual gives for this work."""

import os
from dataclasses import dataclass

from content import MANIFEST
from process import Process, free_port


@dataclass
class Contender:
    """A server, by the port it answers on."""

    name: str
    process: Process
    port: int
    scheme: str = "http"


def start_all(bench):
    """Everybody that serves what `bench.origin` has: over plain HTTP and, those that can, over TLS 1.3."""
    origin = bench.origin.port
    plain = [
        portcullis(bench, "portcullis", bench.origin),
        *nginx(bench, origin),
        varnish(bench, origin),
        registry(bench, "registry", ["docker-registry"], origin),
        registry(bench, "distribution", ["registry"], origin),
        Contender("direct", None, origin),
    ]
    proxy, static = (one for one in plain if one.name in ("proxy_cache", "static"))
    tls = [
        portcullis(bench, "portcullis-tls", bench.origin, tls=True),
        Contender("proxy_cache", proxy.process, bench.tls_ports["proxy_cache"], "https"),
        Contender("static", static.process, bench.tls_ports["static"], "https"),
    ]
    return {one.name: one for one in plain}, {one.name: one for one in tls}


def portcullis(bench, name, origin, tls=False, freshness="{}"):
    """Admission, metrics and the audit log are on, as they are for everybody who runs it."""
    port, admin = free_port(), free_port()
    certificate = f', tls: {{ certificate: "{bench.home}/tls.crt", key: "{bench.home}/tls.key" }}' if tls else ""
    file = bench.home / f"{name}.yaml"
    file.write_text(f"""
listen: {{ address: "127.0.0.1:{port}"{certificate} }}
admin: {{ address: "127.0.0.1:{admin}" }}
store: {{ path: "{bench.home}/{name}", max_size: 40GiB }}
audit: {{ path: "{bench.home}/{name}.jsonl" }}
upstreams: {{ docker.io: {{ url: "http://127.0.0.1:{origin.port}", default: true }} }}
signers: {{ bench: {{ cosign: {{ key: "{bench.home}/cosign.pub", transparency_log: ignore }} }} }}
freshness: {freshness}
policies:
  - {{ name: signed, scopes: ["docker.io/signed/*"], require: bench }}
  - {{ name: open, scopes: ["docker.io/open/*"], mode: allow }}
""")
    server = bench.start([bench.portcullis, "serve", "--config", file], name)
    return Contender("portcullis", server.listening(port), port, "https" if tls else "http")


def nginx(bench, origin):
    """As a cache and with files under `bench.www`; it writes no log."""
    cache, static = free_port(), free_port()
    bench.tls_ports = {"proxy_cache": free_port(), "static": free_port()}
    own = bench.home / "nginx"
    own.mkdir()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"    {kind}_temp_path {own}/{kind};" for kind in kinds)
    (own / "conf").write_text(f"""
{"user root;" if os.getuid() == 0 else ""}
worker_processes auto;
daemon off;
pid {own}/pid;
error_log {bench.home}/nginx.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    open_file_cache max=1000;
    default_type {MANIFEST};
    ssl_certificate {bench.home}/tls.crt;
    ssl_certificate_key {bench.home}/tls.key;
    ssl_protocols TLSv1.3;
{temporary}
    proxy_cache_path {own}/cache keys_zone=content:10m max_size=40g;
    server {{
        listen 127.0.0.1:{cache};
        listen 127.0.0.1:{bench.tls_ports["proxy_cache"]} ssl;
        location / {{
            proxy_pass http://127.0.0.1:{origin};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_max_temp_file_size 2048m;
            proxy_cache content;
            proxy_cache_valid 200 1h;
            proxy_cache_lock on;
            proxy_cache_lock_age 60s;
            proxy_cache_lock_timeout 60s;
        }}
    }}
    server {{
        listen 127.0.0.1:{static};
        listen 127.0.0.1:{bench.tls_ports["static"]} ssl;
        root {bench.www};
    }}
}}
""")
    server = bench.start(["nginx", "-c", own / "conf", "-e", bench.home / "nginx.log"], "nginx")
    server.listening(cache, static)
    return [Contender("proxy_cache", server, cache), Contender("static", server, static)]


def varnish(bench, origin):
    port = free_port()
    command = ["varnishd", "-F", "-j", "none", "-n", bench.home / "varnish", "-a", f"127.0.0.1:{port}",
               "-b", f"127.0.0.1:{origin}", "-s", "default,4G", "-t", "3600", "-p", "timeout_idle=75"]
    return Contender("varnish", bench.start(command, "varnish").listening(port), port)


def registry(bench, name, program, origin):
    port = free_port()
    file = bench.home / f"{name}.yml"
    file.write_text(f"""
version: 0.1
log: {{ level: error, accesslog: {{ disabled: true }} }}
storage: {{ cache: {{ blobdescriptor: inmemory }}, filesystem: {{ rootdirectory: {bench.home}/{name} }} }}
proxy: {{ remoteurl: "http://127.0.0.1:{origin}" }}
http: {{ addr: "127.0.0.1:{port}" }}
""")
    return Contender(name, bench.start([*program, "serve", file], name).listening(port), port)
