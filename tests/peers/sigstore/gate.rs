//! A running proxy before one registry that has many names: what is pulled as `NAME.example/…` is judged by the policy NAME.

use super::services::{EMAIL, WORKFLOW};
use crate::namespace::Place;
use crate::process::{Outcome, free_port, run};
use crate::proxy::Proxy;
use crate::stand::Stand;

/// A policy of one requirement, by name, with the signers that it needs.
pub struct Asked {
    name: String,
    signer: Option<String>,
    require: String,
}

/// That this signer, with these settings of `cosign`, has signed.
pub fn signer(name: &str, cosign: &str) -> Asked {
    Asked { name: name.to_owned(), signer: Some(cosign.to_owned()), require: name.to_owned() }
}

/// That a signer of another entry has attested SLSA's provenance of which the condition holds.
pub fn attested(name: &str, by: &str, condition: &str) -> Asked {
    let require =
        format!("{{ attested: {{ by: {by}, predicate_type: slsaprovenance1, where: \"{condition}\" }} }}");
    Asked { name: name.to_owned(), signer: None, require }
}

/// A keyless signer, with the settings that follow.
pub fn keyless(stand: &Stand, (identity, issuer): (&str, &str), more: &str) -> String {
    let root = stand.trusted_root();
    format!(
        "keyless: {{ issuer: \"{issuer}\", identity: \"{identity}\" }}, trusted_root: \"{}\"{more}",
        root.display()
    )
}

/// A key, with the settings that follow.
pub fn key(stand: &Stand, file: &str, more: &str) -> String {
    let (key, root) = (stand.home().join(file), stand.trusted_root());
    format!("key: \"{}\", trusted_root: \"{}\"{more}", key.display(), root.display())
}

/// No log is looked at.
pub const BARE: &str = ", transparency_log: ignore";
/// A timestamp is needed, and no log is looked at.
pub const STAMPED: &str = ", transparency_log: ignore, timestamps: require";

/// The right signers, `email`, `workflow` and `key`, each as `…-stamped` too, and wrong ones.
pub fn everybody(stand: &Stand) -> Vec<Asked> {
    let next = WORKFLOW.0.replace("main", "next");
    let another = rcgen::KeyPair::generate().unwrap().public_key_pem();
    stand.file("another.pub", &another);
    let by_extension = |reference: &str| {
        let signer = keyless(stand, WORKFLOW, "");
        signer.replacen(" },", &format!(", extensions: {{ source_repository_ref: \"{reference}\" }} }},"), 1)
    };
    vec![
        signer("email", &keyless(stand, EMAIL, "")),
        signer("email-stamped", &keyless(stand, EMAIL, STAMPED)),
        signer("email-by-another", &keyless(stand, (EMAIL.0, "https://accounts.google.com"), "")),
        signer("eve", &keyless(stand, ("eve@example.test", EMAIL.1), "")),
        signer("eve-stamped", &keyless(stand, ("eve@example.test", EMAIL.1), STAMPED)),
        signer("workflow", &by_extension("refs/heads/main")),
        signer("workflow-stamped", &keyless(stand, WORKFLOW, STAMPED)),
        signer("workflow-of-next", &keyless(stand, (&next, WORKFLOW.1), "")),
        signer("workflow-at-next", &by_extension("refs/heads/next")),
        signer("key", &key(stand, "cosign.pub", "")),
        signer("key-bare", &key(stand, "cosign.pub", BARE)),
        signer("key-stamped", &key(stand, "cosign.pub", STAMPED)),
        signer("key-of-another", &key(stand, "another.pub", BARE)),
    ]
}

/// The proxy.
pub struct Gate<'a> {
    stand: &'a Stand,
    place: &'a Place,
    proxy: Proxy,
}

impl<'a> Gate<'a> {
    /// Starts one before the stand's upstream.
    pub fn open(stand: &'a Stand, asked: &[Asked]) -> Self {
        let url = format!("url: \"http://{}\"", stand.upstream.address());
        Self::open_in(&stand.place, stand, &url, asked)
    }

    /// Starts one somewhere, with these settings of the upstream. All in one stand have one store.
    pub fn open_in(place: &'a Place, stand: &'a Stand, upstream: &str, asked: &[Asked]) -> Self {
        let port = free_port();
        let each = |line: &dyn Fn(&Asked) -> String| asked.iter().map(line).collect::<String>();
        let text = format!(
            r#"
listen: {{ address: "127.0.0.1:{port}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
store: {{ path: store, max_size: 1GiB }}
audit: {{ path: audit.jsonl }}
decisions: {{ allow_max_age: 2s, deny_ttl: 1s, indeterminate_ttl: 1s }}
freshness: {{ referrers_ttl: 1s, tag_ttl: 1s }}
upstreams:
{upstreams}signers:
{signers}policies:
{policies}"#,
            admin = free_port(),
            upstreams = each(&|a| format!("  {}.example: {{ {upstream} }}\n", a.name)),
            signers = each(&|a| match &a.signer {
                Some(cosign) => format!("  {}: {{ cosign: {{ {cosign} }} }}\n", a.name),
                None => String::new(),
            }),
            policies = each(&|a| format!(
                "  - {{ name: {0}, scopes: [\"{0}.example/**\"], require: {1} }}\n",
                a.name, a.require
            )),
        );
        let config = stand.file("gate.yaml", &text);
        Self { stand, place, proxy: Proxy::with_config(place, stand, port, &config) }
    }

    /// What a client types.
    pub fn name(&self, policy: &str, repository: &str) -> String {
        format!("{}/{policy}.example/{repository}:v1", self.proxy.address())
    }

    /// skopeo copies the image.
    pub fn copy(&self, policy: &str, repository: &str) -> Outcome {
        let source = format!("docker://{}", self.name(policy, repository));
        let mut skopeo = self.place.command("skopeo", self.stand.home());
        let target = format!("oci:{}:v1", self.stand.home().join("pulled").display());
        run(skopeo.args(["copy", "--src-tls-verify=false", &source, &target]))
    }

    /// What is answered where the manifest is asked for: the status and the body.
    pub fn answer(&self, policy: &str, repository: &str) -> (u16, String) {
        let url = format!("http://{}/v2/{policy}.example/{repository}/manifests/v1", self.proxy.address());
        let mut curl = self.place.command("curl", self.stand.home());
        curl.args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "--max-time", "60"]);
        let text = run(curl.arg(url)).passed().stdout;
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// Asserts that skopeo is refused by a policy, and says so with each of these words, and that something
    /// was found.
    #[track_caller]
    pub fn refuses(&self, policy: &str, repository: &str, words: &[&str]) {
        let outcome = self.copy(policy, repository).failed();
        let outcome = outcome.says(&format!("policy {policy}: {policy}.example/{repository}@sha256:"));
        let outcome = words.iter().fold(outcome, |outcome, word| outcome.says(word));
        assert!(!outcome.text.contains("none found"), "{}", outcome.text);
    }

    /// Ends it as a service manager would.
    pub fn close(self) {
        assert_eq!(self.proxy.stop(), Some(0));
    }
}
