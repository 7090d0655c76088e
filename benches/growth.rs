//! What the store costs as it grows: opening it, in good order and after a crash, and what a request asks of it.
//! `cargo bench --bench growth`; `GROWTH=1000000 cargo bench --bench growth` with a million manifests, ten links
//! each, in a folder under `target` that is removed at the end.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis::oci::{Digest, Repository};
use portcullis::store::key::{put_digest, within};
use portcullis::store::{Settings, Store, Table};
use portcullis::telemetry::Metrics;

const LINKS: u64 = 10;
const REPOSITORIES: u64 = 1000;
const SAMPLES: u64 = 20_000;
/// Changes that are handed over at once while filling.
const BATCH: u64 = 2000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--hold") {
        return hold(Path::new(&arguments[at + 1]));
    }
    // As criterion tells it: `cargo bench` says so, `cargo test` does not.
    let is_test = arguments.iter().any(|argument| argument == "--test")
        || !arguments.iter().any(|argument| argument == "--bench");
    let wanted = std::env::var("GROWTH").ok().and_then(|number| number.parse().ok());
    let manifests = wanted.unwrap_or(if is_test { 200 } else { 1000 });
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("growth-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(&folder, manifests, if is_test { 100 } else { SAMPLES.min(10 * manifests) }));
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn run(folder: &Path, manifests: u64, samples: u64) {
    println!("{manifests} manifests, {} links", manifests * LINKS);
    write_files(folder, manifests);
    let store = timed("open without records", || open(folder));
    fill(&store, manifests).await;
    let records = std::fs::metadata(folder.join("records.redb")).unwrap().len();
    println!("records: {} MiB, {} bytes a link", records >> 20, records / (manifests * LINKS));
    timed("close", || drop(store));
    // What was written here without waiting is no part of opening.
    rustix::fs::sync();
    let store = timed("open", || open(folder));
    measure(&store, manifests, samples).await;
    drop(store);
    crash(folder);
    let store = timed("open after a crash", || open(folder));
    let began = Instant::now();
    look_up(&store, manifests, samples.min(1000)).await;
    println!("the first look-ups while the books are compared: {:?}", began.elapsed());
    timed("close", || drop(store));
}

fn open(folder: &Path) -> Store {
    let settings = Settings { path: folder.to_owned(), max_size: 1 << 40, ..Settings::default() };
    Store::open(&settings, &Metrics::new()).unwrap()
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    println!("{what}: {:?}", began.elapsed());
    done
}

fn manifest(at: u64) -> (Digest, Bytes) {
    let content = Bytes::from(format!("{{\"manifest\": {at}, \"of\": \"{}\"}}", "some length ".repeat(60)));
    (Digest::sha256(&content), content)
}

/// Content as an earlier process left it; nobody waits here for each to be durable.
fn write_files(folder: &Path, manifests: u64) {
    let blobs: PathBuf = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for at in 0..manifests {
        let (digest, content) = manifest(at);
        std::fs::write(blobs.join(digest.hex()), content).unwrap();
    }
}

fn repository(at: u64) -> Repository {
    Repository::parse(&format!("registry.example/team-{}/app", at % REPOSITORIES)).unwrap()
}

fn child(at: u64, link: u64) -> Digest {
    Digest::sha256(&[at.to_be_bytes(), link.to_be_bytes()].concat())
}

/// A link's record, as long as admission writes it.
fn link(at: u64, number: u64) -> (Vec<u8>, Vec<u8>) {
    let mut key = within(&repository(at), &child(at, number));
    key.push(b'l');
    put_digest(&mut key, &manifest(at).0);
    let mut value = number.to_be_bytes().to_vec();
    value.extend_from_slice(b"application/vnd.oci.image.layer.v1.tar+gzip");
    (key, value)
}

fn links(table: &Table, at: u64) -> Vec<portcullis::store::Change> {
    (0..LINKS).map(|number| link(at, number)).map(|(key, value)| table.putting(key, value)).collect()
}

async fn fill(store: &Store, manifests: u64) {
    let began = Instant::now();
    let (table, rows) = (store.records().table("links"), store.records().table("manifests"));
    let by_use = store.records().table("manifests_by_use");
    for at in 0..manifests {
        let key = within(&repository(at), &manifest(at).0);
        let mut changes = links(&table, at);
        changes.push(by_use.putting([at.to_be_bytes().as_slice(), &key].concat(), []));
        changes.push(
            rows.putting(
                key,
                [&at.to_be_bytes()[..], b"\x03", repository(at).to_string().as_bytes()].concat(),
            ),
        );
        store.records().apply(changes);
        if at % BATCH == BATCH - 1 {
            store.records().flush().await.unwrap();
        }
    }
    store.records().flush().await.unwrap();
    println!("fill: {:?}", began.elapsed());
}

async fn measure(store: &Store, manifests: u64, samples: u64) {
    look_up(store, manifests, samples).await;
    let mut times = Vec::new();
    for at in picks(manifests, samples) {
        let (digest, _) = manifest(at);
        let began = Instant::now();
        assert!(store.read(&digest, 1 << 20).await.unwrap().is_some());
        times.push(began.elapsed());
    }
    show("manifest by digest", &mut times);
    for at in picks(manifests, samples) {
        let (digest, _) = manifest(at);
        let began = Instant::now();
        assert!(store.open_blob(&digest).await.unwrap().is_some());
        times.push(began.elapsed());
    }
    show("blob open", &mut times);
    let table = store.records().table("links");
    for at in picks(manifests, samples / 10) {
        let changes = links(&table, at + manifests);
        let began = Instant::now();
        store.records().apply(changes);
        times.push(began.elapsed());
    }
    show("links of an admission", &mut times);
    let began = Instant::now();
    store.records().flush().await.unwrap();
    println!("making them durable: {:?}", began.elapsed());
    for at in 0..samples / 10 {
        let content = Bytes::from(format!("new {at}"));
        let began = Instant::now();
        drop(store.incoming(&Digest::sha256(&content), content.len() as u64).await.unwrap());
        times.push(began.elapsed());
    }
    show("room for a blob", &mut times);
}

async fn look_up(store: &Store, manifests: u64, samples: u64) {
    let table = store.records().table("links");
    let mut times = Vec::new();
    for at in picks(manifests, samples) {
        let prefix = within(&repository(at), &child(at, at % LINKS));
        let began = Instant::now();
        assert_eq!(table.scan(&prefix, 256).await.unwrap().len(), 1);
        times.push(began.elapsed());
    }
    show("link look-up", &mut times);
}

/// All over the place.
fn picks(manifests: u64, samples: u64) -> impl Iterator<Item = u64> {
    let mut chance = fastrand::Rng::with_seed(7);
    (0..samples).map(move |_| chance.u64(0..manifests))
}

fn show(what: &str, times: &mut Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what}: p50 {:?}, p99 {:?}, most {:?}", at(0.5), at(0.99), at(1.0));
    times.clear();
}

/// Ends a process that has the store open and has just written to it.
fn crash(folder: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--hold")
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

fn hold(folder: &Path) {
    let store = open(folder);
    let table = store.records().table("links");
    for at in 0..10_000_u64 {
        table.put(at.to_be_bytes(), b"written before the end".as_slice());
    }
    std::thread::sleep(Duration::from_millis(500));
    println!("ready");
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_secs(60));
}
