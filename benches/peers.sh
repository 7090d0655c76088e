#!/usr/bin/env bash
# Portcullis beside nginx (proxy_cache, static files) and docker-registry's proxy: the same data, the same
# load, in one run on this machine, in rounds that take turns, so that what else the machine does falls on all.
#
#   benches/peers.sh [--smoke] [--seconds N] [--rounds N]
#
# Needs what .ci/peers.sh installs, and target/release/portcullis (or $PORTCULLIS). Admission, metrics and
# audit are on; nginx writes no log. Prints the median of each and the ratio to nginx.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=5 rounds=5
while [ $# -gt 0 ]; do
    case $1 in
    --smoke) seconds=1 rounds=1 ;;
    --seconds) seconds=$2; shift ;;
    --rounds) rounds=$2; shift ;;
    *) echo "usage: $0 [--smoke] [--seconds N] [--rounds N]" >&2; exit 64 ;;
    esac
    shift
done

portcullis=$(realpath "${PORTCULLIS:-target/release/portcullis}")
export PATH="$(.ci/peers.sh)/bin:$PATH:/usr/sbin"
home=$(mktemp -d)
export HOME=$home
pids=()
finish() {
    local status=$?
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ $status != 0 ]; then tail -n 3 "$home"/*.log | cut -c 1-300 >&2 || true; fi
    rm -rf "$home"
}
trap finish EXIT

# start NAME COMMAND…: runs it in the background, its output in a file.
start() {
    "${@:2}" >"$home/$1.log" 2>&1 &
    pids+=($!)
}

listening() {
    for _ in $(seq 200); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.05
    done
    echo "nothing listens on port $1" >&2
    return 1
}

# Ports nobody listens on: from a random one on, below those the kernel gives to clients.
next=$((20000 + RANDOM % 8000))
port() {
    while (exec 3<>"/dev/tcp/127.0.0.1/$next") 2>/dev/null; do next=$((next + 1)); done
    printf -v "$1" %s "$next"
    next=$((next + 1))
}
for name in origin ours ours_tls admin admin_tls cache static static_tls mirror; do port $name; done

# --- content: an image with one layer of 30 MB, signed

cat >"$home/origin.yml" <<YAML
version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: $home/origin } }
http: { addr: "127.0.0.1:$origin" }
YAML
start origin docker-registry serve "$home/origin.yml"
listening "$origin"
head -c 30000000 /dev/urandom >"$home/random"
tar -C "$home" -cf "$home/layer.tar" random
image=127.0.0.1:$origin/bench/app
crane append --insecure --oci-empty-base -f "$home/layer.tar" -t "$image:v1" >/dev/null 2>&1
manifest=$(crane digest --insecure "$image:v1")
layer=$(crane manifest --insecure "$image:v1" | grep -o 'sha256:[0-9a-f]*' | tail -n 1)
(
    cd "$home"
    export COSIGN_PASSWORD=""
    cosign generate-key-pair
    cosign sign --yes --key cosign.key --allow-http-registry --tlog-upload=false --use-signing-config=false \
        --new-bundle-format=false "$image@$manifest"
) >"$home/cosign.log" 2>&1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$home/tls.key" -out "$home/tls.crt" 2>/dev/null

# --- those who serve it

portcullis_config() { # FILE PORT ADMIN TLS
    cat >"$home/$1.yaml" <<YAML
listen: { address: "127.0.0.1:$2"$4 }
admin: { address: "127.0.0.1:$3" }
store: { path: "$home/$1-store", max_size: 1GiB }
audit: { path: "$home/$1-audit.jsonl" }
upstreams: { docker.io: { url: "http://127.0.0.1:$origin", default: true } }
signers: { bench: { cosign: { key: "$home/cosign.pub", transparency_log: ignore } } }
policies: [{ name: bench, scopes: ["docker.io/bench/*"], require: bench }]
YAML
    start "$1" "$portcullis" serve --config "$home/$1.yaml"
}
portcullis_config plain "$ours" "$admin" ""
portcullis_config tls "$ours_tls" "$admin_tls" ", tls: { certificate: $home/tls.crt, key: $home/tls.key }"

accept='application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json'
manifest_type=$(curl -sI -H "Accept: $accept" "http://127.0.0.1:$origin/v2/bench/app/manifests/v1" |
    tr -d '\r' | sed -n 's/^[Cc]ontent-[Tt]ype: //p')
www=$home/www/v2/bench/app
mkdir -p "$www/blobs" "$www/manifests" "$home/nginx"
crane manifest --insecure "$image:v1" >"$www/manifests/v1"
cp "$www/manifests/v1" "$www/manifests/$manifest"
crane blob --insecure "$image@$layer" >"$www/blobs/$layer"
cat >"$home/nginx.conf" <<NGINX
$([ "$(id -u)" != 0 ] || echo "user root;")
worker_processes auto;
daemon off;
pid $home/nginx/pid;
error_log $home/nginx-error.log;
events { worker_connections 1024; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    open_file_cache max=100;
    default_type $manifest_type;
    client_body_temp_path $home/nginx/body;
    proxy_temp_path $home/nginx/proxy;
    fastcgi_temp_path $home/nginx/fastcgi;
    uwsgi_temp_path $home/nginx/uwsgi;
    scgi_temp_path $home/nginx/scgi;
    proxy_cache_path $home/nginx/cache keys_zone=content:10m max_size=1g;
    server {
        listen 127.0.0.1:$cache;
        location / {
            proxy_pass http://127.0.0.1:$origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache content;
            proxy_cache_valid 200 1h;
        }
    }
    server {
        listen 127.0.0.1:$static;
        listen 127.0.0.1:$static_tls ssl;
        ssl_certificate $home/tls.crt;
        ssl_certificate_key $home/tls.key;
        root $home/www;
    }
}
NGINX
start nginx nginx -c "$home/nginx.conf" -e "$home/nginx-error.log"

cat >"$home/mirror.yml" <<YAML
version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { cache: { blobdescriptor: inmemory }, filesystem: { rootdirectory: $home/mirror } }
proxy: { remoteurl: "http://127.0.0.1:$origin" }
http: { addr: "127.0.0.1:$mirror" }
YAML
start mirror docker-registry serve "$home/mirror.yml"
for p in "$ours" "$ours_tls" "$cache" "$static" "$static_tls" "$mirror"; do listening "$p"; done

# --- load

by_tag=/v2/bench/app/manifests/v1 by_digest=/v2/bench/app/manifests/$manifest blob=/v2/bench/app/blobs/$layer
declare -A port_of=(
    [portcullis]=$ours [proxy_cache]=$cache [static]=$static [registry]=$mirror
    [portcullis_tls]=$ours_tls [static_tls]=$static_tls
)

# Everybody serves the same bytes, and has them at hand from here on.
check() { # CONTENDER PATH DIGEST
    local scheme=http
    case $1 in *_tls) scheme=https ;; esac
    local got
    for _ in 1 2 3; do
        got=sha256:$(curl -sk -H "Accept: $accept" "$scheme://127.0.0.1:${port_of[$1]}$2" | sha256sum | cut -d' ' -f1)
        [ "$got" = "$3" ] && return
        sleep 0.5
    done
    echo "$1 does not serve $2" >&2
    return 1
}
for contender in portcullis proxy_cache static registry; do
    check $contender $by_tag "$manifest"
    check $contender "$by_digest" "$manifest"
    check $contender "$blob" "$layer"
done
for contender in portcullis_tls static_tls; do
    check $contender "$by_digest" "$manifest"
    check $contender "$blob" "$layer"
done

# wrk cannot send HEAD (it waits for the body that is announced), and hey, which can, is slower: its numbers
# compare with each other only.
measure() { # CASE CONTENDER CONNECTIONS METHOD PATH
    local url out
    case $2 in *_tls) url=https://127.0.0.1:${port_of[$2]}$5 ;; *) url=http://127.0.0.1:${port_of[$2]}$5 ;; esac
    if [ "$4" = HEAD ]; then
        out=$(hey -m HEAD -c "$3" -z "${seconds}s" -H "Accept: $accept" "$url")
        if [ "$(sed -n '/^Status code/,$ s/^ *\[\([0-9]*\)\].*/\1/p' <<<"$out")" != 200 ]; then
            printf '%s refuses %s:\n%s\n' "$2" "$1" "$out" >&2
            return 1
        fi
    else
        out=$(wrk -t 1 -c "$3" -d "${seconds}s" --timeout 10s -H "Accept: $accept" "$url")
        if grep -q 'Non-2xx' <<<"$out"; then
            printf '%s refuses %s:\n%s\n' "$2" "$1" "$out" >&2
            return 1
        fi
    fi
    awk -v case="$1" -v who="${2%_tls}" '/Requests\/sec:/ { print case "\t" who "\t" $2 }' <<<"$out" >>"$home/results"
}

for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    for contender in portcullis proxy_cache static registry; do
        measure "manifest GET by tag" $contender 32 GET $by_tag
        measure "manifest HEAD by tag" $contender 32 HEAD $by_tag
        measure "manifest GET by digest" $contender 32 GET "$by_digest"
        measure "manifest HEAD by digest" $contender 32 HEAD "$by_digest"
        measure "blob 30 MB" $contender 8 GET "$blob"
    done
    for contender in portcullis_tls static_tls; do
        measure "blob 30 MB, TLS" $contender 8 GET "$blob"
    done
done

# --- medians and ratios

echo "requests a second, median of $rounds rounds of ${seconds}s; $(nproc) processors shared with the load"
sort -t "$(printf '\t')" -k1,1 -k2,2 -k3,3n "$home/results" | awk -F '\t' '
    { key = $1 "\t" $2; n[key]++; value[key, n[key]] = $3; cases[$1] = 1 }
    function median(key) {
        if (!(key in n)) return 0
        return n[key] % 2 ? value[key, (n[key] + 1) / 2] : (value[key, n[key] / 2] + value[key, n[key] / 2 + 1]) / 2
    }
    function shown(x) { return x ? sprintf("%.1f", x) : "-" }
    function ratio(a, b) { return b ? sprintf("%.2f", a / b) : "-" }
    END {
        printf "%-26s %12s %12s %12s %12s | %s\n", "", "portcullis", "proxy_cache", "nginx static", "registry", "to proxy_cache, static, registry"
        count = split("manifest GET by tag;manifest HEAD by tag;manifest GET by digest;manifest HEAD by digest;blob 30 MB;blob 30 MB, TLS", order, ";")
        for (i = 1; i <= count; i++) {
            ours = median(order[i] "\tportcullis"); cache = median(order[i] "\tproxy_cache")
            static = median(order[i] "\tstatic"); registry = median(order[i] "\tregistry")
            printf "%-26s %12s %12s %12s %12s | %s, %s, %s\n", order[i], shown(ours), shown(cache), shown(static), shown(registry), ratio(ours, cache), ratio(ours, static), ratio(ours, registry)
        }
    }'
