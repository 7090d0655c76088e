//! The network is cut: keyless images go on being admitted in a namespace that has loopback alone, and the
//! kernel's counters of that namespace say that nobody was called.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use super::gate::{Gate, everybody};
use super::services::{EMAIL, Sigstore, WORKFLOW};
use super::ways::{Form, Seen, Way, Who};
use crate::content;
use crate::namespace::Place;
use crate::process::{Outcome, run};
use crate::proxy::PORTCULLIS;
use crate::stand::Stand;
use crate::upstream::Kind;

/// With the policy and the arguments of `verify` that admit it.
const WAYS: [(Way, &str, &[&str]); 4] = [
    (Way(Who::Email, Form::Tag, Seen::Rekor1), "email", &[]),
    (Way(Who::Email, Form::Tag, Seen::Stamp), "email-stamped", STAMPED),
    (Way(Who::Email, Form::Bundle, Seen::Rekor1), "email", &[]),
    (Way(Who::Workflow, Form::Bundle, Seen::Rekor2), "workflow", &[]),
];
const STAMPED: &[&str] = &["--insecure-ignore-tlog", "--use-signed-timestamps"];

/// Namespaces without any network.
struct Island<'a> {
    stand: &'a Stand,
    place: Place,
}

impl<'a> Island<'a> {
    fn of(stand: &'a Stand) -> Self {
        let place = Place::apart(&[], stand.home());
        let links = run(place.command("ip", stand.home()).args(["-brief", "link"])).passed().stdout;
        assert!(links.lines().all(|line| line.starts_with("lo ")), "{links}");
        Self { stand, place }
    }

    fn command(&self, program: &str) -> Command {
        self.place.command(program, self.stand.home())
    }

    /// How often somebody was called in vain, or asked for a name, since the beginning.
    fn calls(&self) -> BTreeMap<String, u64> {
        let files = ["/proc/net/snmp", "/proc/net/snmp6"];
        let text = run(self.command("cat").args(files)).passed().stdout;
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let mut all = BTreeMap::new();
        for (names, values) in lines.iter().zip(lines.iter().skip(1)).filter(|(a, b)| a[0] == b[0]) {
            all.extend(names.iter().zip(values).skip(1).map(|(n, v)| (format!("{}{n}", names[0]), *v)));
        }
        all.extend(lines.iter().filter(|line| line.len() == 2).map(|line| (line[0].to_owned(), line[1])));
        let counted =
            ["Ip:OutNoRoutes", "Ip6OutNoRoutes", "Udp:OutDatagrams", "Udp6OutDatagrams", "Tcp:AttemptFails"];
        counted.iter().map(|name| ((*name).to_owned(), all[*name].parse().unwrap())).collect()
    }

    /// Runs the program: quickly, and without a call.
    fn runs(&self, arguments: &[&str]) -> Outcome {
        let before = self.calls();
        let began = Instant::now();
        let outcome = run(self.command(PORTCULLIS).args(arguments));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}: {}", began.elapsed(), outcome.text);
        assert_eq!(self.calls(), before, "{arguments:?} called somebody: {}", outcome.text);
        outcome
    }
}

#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, curl, skopeo, root"]
fn needs_root_an_island_goes_on_admitting_keyless_images() {
    let mut stand = Stand::new(Kind::Referrers);
    {
        let sigstore = Sigstore::start(&stand);
        WAYS.iter().for_each(|(way, _, _)| drop(sigstore.signed(*way)));
        // Signed, but nobody asked for it while there was a network.
        sigstore.sign(WAYS[0].0, "sigstore/unknown", &stand.push("sigstore/unknown", content::image));
        let gate = Gate::open(&stand, &everybody(&stand));
        WAYS.iter().for_each(|(way, policy, _)| drop(gate.copy(policy, &way.repository()).passed()));
        gate.close();
    }
    stand.upstream.stop();
    let island = Island::of(&stand);
    let cut = format!("url: \"http://{}\", offline: true", stand.upstream.address());
    let gate = Gate::open_in(&island.place, &stand, &cut, &everybody(&stand));
    let before = island.calls();
    // Longer than a decision lasts, so that it is made again here.
    for _ in 0..3 {
        for (way, policy, _) in WAYS {
            let began = Instant::now();
            let (status, body) = gate.answer(policy, &way.repository());
            assert_eq!(status, 200, "{way:?}: {body}");
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    WAYS.iter().for_each(|(way, policy, _)| drop(gate.copy(policy, &way.repository()).passed()));
    let (status, body) = gate.answer("email", "sigstore/unknown");
    assert!(status == 503 && body.contains("not in the store"), "{status}: {body}");
    assert_eq!(island.calls(), before, "somebody was called");
}

/// Takes the image and all that is attached to it into a layout: its folder.
fn saved(stand: &Stand, way: Way, digest: &str) -> String {
    let folder = format!("saved-{}", way.repository().replace('/', "-"));
    let signature = format!("{}.sig", digest.replace(':', "-"));
    for tag in if way.1 == Form::Tag { vec!["v1", &signature] } else { vec!["v1"] } {
        let from = format!("{}/{}:{tag}", stand.upstream.address(), way.repository());
        let mut oras = stand.command("oras");
        oras.args(["cp", "-r", "--from-plain-http", &from, "--to-oci-layout", &format!("{folder}:{tag}")]);
        run(&mut oras).passed();
    }
    folder
}

#[test]
#[ignore = "needs cosign, cosign2, sigstore-stand, oras, root"]
fn needs_root_images_in_a_layout_are_verified_without_network() {
    let stand = Stand::new(Kind::Referrers);
    let sigstore = Sigstore::start(&stand);
    let folders = WAYS.map(|(way, _, _)| saved(&stand, way, &sigstore.signed(way)));
    drop(sigstore);
    let island = Island::of(&stand);
    let root = stand.trusted_root();
    let root = root.to_str().unwrap();
    for ((way, _, more), folder) in WAYS.into_iter().zip(&folders) {
        let (identity, issuer) = way.identity().unwrap();
        let layout = format!("{folder}:v1");
        let verify = |identity: &str, root: &[&str]| {
            let mut arguments = vec!["verify", "--oci-layout", "--scope", "registry.example/app", &layout];
            arguments.extend(["--certificate-identity", identity, "--certificate-oidc-issuer", issuer]);
            island.runs(&[&arguments, root, more].concat())
        };
        verify(identity, &["--trusted-root", root]).passed();
        let stranger = verify("eve@example.test", &["--trusted-root", root]);
        assert_eq!(stranger.code, Some(1), "{way:?}: {}", stranger.text);
        stranger.says(identity);
        // The public instance's root is built in: it is not fetched, and knows none of these.
        let public = verify(identity, &[]);
        assert_eq!(public.code, Some(1), "{way:?}: {}", public.text);
    }
    // What is counted is there when somebody is called.
    let before = island.calls();
    let mut remote = island.command(PORTCULLIS);
    let key = stand.cosign_key();
    remote.args(["verify", "--insecure-ignore-tlog", "registry.example/app:v1", "--key"]).arg(key);
    assert_eq!(run(&mut remote).code, Some(2));
    assert_ne!(island.calls(), before);
}

#[test]
#[ignore = "needs cosign, sigstore-stand, root"]
fn needs_root_bundles_are_verified_without_network() {
    let stand = Stand::new(Kind::Referrers);
    let sigstore = Sigstore::start(&stand);
    stand.file("file", "content");
    for services in ["rekor1", "rekor2"] {
        let bundle = format!("{services}.json");
        sigstore.cosign3("sign-blob", Some(WORKFLOW), services, &["--bundle", &bundle, "file"]);
    }
    drop(sigstore);
    let island = Island::of(&stand);
    let verify = |bundle: &str, (identity, issuer): (&str, &str), more: &[&str]| {
        let arguments = ["verify-bundle", "--bundle", bundle, "--certificate-identity", identity];
        island.runs(&[&arguments, &["--certificate-oidc-issuer", issuer][..], more].concat())
    };
    let root = stand.trusted_root();
    let ours = ["--trusted-root", root.to_str().unwrap(), "file"];
    for bundle in ["rekor1.json", "rekor2.json"] {
        verify(bundle, WORKFLOW, &ours).passed();
        verify(bundle, EMAIL, &ours).failed().says(WORKFLOW.0);
        // The root that is built in is another instance's.
        verify(bundle, WORKFLOW, &["file"]).failed();
    }
}
