use super::super::tests::{KEY, ROOT};
use super::super::trust_root::TrustRoot;
use super::*;
use crate::signature::cosign::Requirement::{self, Ignore, Require as Needed};
use crate::signature::cosign::Roots;

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// `private` and `other` have everything, `bare` a certificate authority and `stamps` a timestamp authority alone.
fn roots() -> TrustRoots {
    let bare = format!("sigstoreKeys: {{ certificateAuthorities: [{{ certChain: {} }}] }}", ROOT.chain);
    let root = |name: &str, spec: &str| (name.to_owned(), TrustRoot::read(name, &yaml(spec)).unwrap());
    let stamps = format!("sigstoreKeys: {{ timestampAuthorities: [{{ certChain: {} }}] }}", ROOT.chain);
    [root("stamps", &stamps), root("private", &ROOT.spec()), root("other", &ROOT.spec()), root("bare", &bare)]
        .into()
}

fn read(text: &str) -> Result<Vec<Settings>, SettingError> {
    let value = yaml(text);
    match signers(&Object::of(&value, &FIELDS)?, &roots())? {
        Means::Signers(signers) => Ok(signers),
        Means::Fixed(_) => Ok(Vec::new()),
    }
}

fn one(text: &str) -> Settings {
    let mut all = read(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn key(rest: &str) -> String {
    format!("{{ key: {{ data: {} }}{rest} }}", serde_json::to_string(&*KEY).unwrap())
}

/// The rest of `keyless`, and what stands beside it.
fn keyless(rest: &str, beside: &str) -> String {
    format!("{{ keyless: {{ identities: [{{ issuer: i, subject: s }}]{rest} }}{beside} }}")
}

fn needs(settings: &Settings) -> (Requirement, Requirement) {
    (settings.transparency_log, settings.timestamps)
}

#[test]
fn a_key_needs_a_log_entry_where_ctlog_is_written() {
    let plain = one(&key(""));
    assert_eq!(
        plain,
        Settings {
            key: Some(Pem(KEY.clone())),
            layout: Layout::Legacy,
            transparency_log: Ignore,
            timestamps: Ignore,
            ..Settings::default()
        }
    );
    for public in ["", "url: https://rekor.sigstore.dev", "url: http://log2025-1.rekor.sigstore.dev/"] {
        let logged = one(&key(&format!(", ctlog: {{ {public} }}")));
        assert_eq!((needs(&logged), &logged.roots), ((Needed, Ignore), &None), "{public}");
    }
    let private = one(&key(", ctlog: { url: 'http://rekor.corp/', trustRootRef: private }"));
    let rekor = Roots { rekor: vec![Pem(ROOT.key_pem.clone())], ..Roots::default() };
    assert_eq!((needs(&private), private.roots), ((Needed, Ignore), Some(rekor)));
}

#[test]
fn a_timestamp_is_needed_where_it_is_written_and_the_log_only_beside_ctlog() {
    let stamped = one(&key(", rfc3161timestamp: { trustRootRef: private }"));
    let chain = vec![Pem(ROOT.chain_pem.clone())];
    let authority = Roots { timestamps: chain.clone(), ..Roots::default() };
    assert_eq!((needs(&stamped), stamped.roots), ((Ignore, Needed), Some(authority)));
    let both = one(&key(", rfc3161timestamp: { trustRootRef: private }, ctlog: { trustRootRef: other }"));
    assert_eq!(needs(&both), (Needed, Needed));
    let stamped = one(&keyless(", trustRootRef: private", ", rfc3161timestamp: { trustRootRef: private }"));
    assert_eq!(needs(&stamped), (Ignore, Needed));
    assert_eq!(stamped.roots.unwrap().timestamps, chain);
}

#[test]
fn a_keyless_signature_needs_a_log_entry_unless_a_timestamp_says_when() {
    for (rest, beside) in [
        ("", ""),
        (", url: https://fulcio.sigstore.dev", ""),
        (", url: 'http://fulcio.sigstore.dev'", ", ctlog: { url: https://rekor.sigstore.dev }"),
        ("", ", signatureFormat: bundle"),
    ] {
        let public = one(&keyless(rest, beside));
        assert_eq!((needs(&public), &public.roots), ((Needed, Ignore), &None), "{rest} {beside}");
    }
    let log = ", ctlog: { trustRootRef: private }";
    let private = one(&keyless(", url: http://fulcio.corp, trustRootRef: private", log));
    let everything = Roots {
        fulcio: vec![Pem(ROOT.chain_pem.clone())],
        rekor: vec![Pem(ROOT.key_pem.clone())],
        ct_logs: vec![Pem(ROOT.key_pem.clone())],
        timestamps: Vec::new(),
    };
    assert_eq!((needs(&private), &private.roots), ((Needed, Ignore), &Some(everything.clone())));
    let bundle = one(&keyless(", trustRootRef: private", ", signatureFormat: bundle"));
    assert_eq!(
        (needs(&bundle), bundle.roots, bundle.layout),
        ((Needed, Ignore), Some(everything), Layout::Bundle)
    );
}

#[test]
fn each_identity_is_a_signer_of_its_own() {
    let all = read(
        "{ keyless: { identities: [{ issuer: i, subject: s }, { issuerRegExp: '^i', subjectRegExp: s$ }] } }",
    );
    let identities: Vec<Keyless> = all.unwrap().into_iter().filter_map(|settings| settings.keyless).collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        identities,
        [
            Keyless { issuer: some("i"), identity: some("s"), ..Keyless::default() },
            Keyless {
                issuer_regexp: some("(?s:.*)(?:^i)(?s:.*)"),
                identity_regexp: some("(?s:.*)(?:s$)(?s:.*)"),
                ..Keyless::default()
            },
        ]
    );
}

#[test]
fn certificates_without_scts_are_believed_only_where_the_file_says_so() {
    let log = ", ctlog: { trustRootRef: private }";
    assert!(!one(&keyless("", "")).dangerous_skip_sct);
    assert!(one(&keyless(", insecureIgnoreSCT: true", "")).dangerous_skip_sct);
    let fault = read(&keyless(", trustRootRef: bare", log)).unwrap_err();
    assert_eq!(fault.path, ["keyless", "trustRootRef"]);
    assert!(fault.message.contains("has no ctLogs"), "{fault}");
    assert!(one(&keyless(", trustRootRef: bare, insecureIgnoreSCT: true", log)).dangerous_skip_sct);
}

#[test]
fn witnesses_that_cannot_be_honoured_are_refused() {
    let stamps = ", rfc3161timestamp: { trustRootRef: stamps }";
    let (tsa, private) = (", rfc3161timestamp: { trustRootRef: private }", ", trustRootRef: private");
    let bundle = |beside: &str| keyless(private, &format!(", signatureFormat: bundle{beside}"));
    for (text, path, words) in [
        (
            keyless(", url: https://fulcio.corp", ""),
            "keyless.url",
            "only https://fulcio.sigstore.dev is known",
        ),
        (keyless(", url: https://fulcio.sigstore.dev.evil.example", ""), "keyless.url", "only https"),
        (keyless(", url: https://evilfulcio.sigstore.dev", ""), "keyless.url", "only https"),
        (keyless(", url: ftp://fulcio.sigstore.dev", ""), "keyless.url", "only https"),
        (
            keyless(", trustRootRef: stamps", stamps),
            "keyless.trustRootRef",
            "TrustRoot stamps has no certificateAuthorities",
        ),
        (keyless(", url: 'https://fulcio.sigstore.dev:8443'", ""), "keyless.url", "only https"),
        (
            keyless(", trustRootRef: nowhere", ""),
            "keyless.trustRootRef",
            "no TrustRoot of this file is called",
        ),
        (
            keyless(private, ""),
            "keyless.trustRootRef",
            "nothing says when a certificate of TrustRoot private",
        ),
        (keyless("", ", ctlog: { trustRootRef: private }"), "ctlog.trustRootRef", "do not go together"),
        (
            keyless(private, ", ctlog: { url: https://rekor.sigstore.dev }"),
            "ctlog.trustRootRef",
            "do not go together",
        ),
        (keyless("", tsa), "rfc3161timestamp.trustRootRef", "do not go together"),
        (key(&format!(", ctlog: {{}}{tsa}")), "ctlog.trustRootRef", "do not go together"),
        (
            key(", ctlog: { url: https://rekor.corp }"),
            "ctlog.url",
            "only https://rekor.sigstore.dev is known",
        ),
        (
            key(", ctlog: { url: https://rekor.elsewhere, trustRootRef: private }"),
            "ctlog.url",
            "is none of the tLogs of TrustRoot private, which are: http://rekor.corp",
        ),
        (key(", ctlog: { trustRootRef: bare }"), "ctlog.trustRootRef", "TrustRoot bare has no tLogs"),
        (key(", rfc3161timestamp: {}"), "rfc3161timestamp.trustRootRef", "is missing"),
        (
            key(", rfc3161timestamp: { trustRootRef: bare }"),
            "rfc3161timestamp.trustRootRef",
            "TrustRoot bare has no timestampAuthorities",
        ),
        (
            bundle(", rfc3161timestamp: { trustRootRef: other }"),
            "rfc3161timestamp.trustRootRef",
            "must be the trustRootRef",
        ),
        (
            bundle(", ctlog: { trustRootRef: other }"),
            "ctlog.trustRootRef",
            "must be the trustRootRef of `keyless`",
        ),
    ] {
        let fault = read(&text).unwrap_err();
        assert_eq!(fault.path.join("."), path, "{text}: {fault}");
        assert!(fault.message.contains(words), "{text}: {fault}");
    }
}
