//! What cannot be honoured is an error that names the place, what was found and what to do.

use super::*;

fn fault(text: &str) -> String {
    ClusterImagePolicies::parse("cip.yaml", text, None)
        .err()
        .unwrap_or_else(|| panic!("is honoured:\n{text}"))
}

/// The spec's fault without its line and column, and without the policy's name.
fn of_spec(spec: &str) -> String {
    let fault = fault(&policy_text("p", spec));
    let (place, rest) = fault.split_once(": ClusterImagePolicy p: ").unwrap_or_else(|| panic!("{fault}"));
    assert!(place.starts_with(":4:"), "the spec is in line 4: {fault}");
    rest.to_owned()
}

fn of_authority(authority: &str) -> String {
    of_spec(&format!("images: [{{ glob: '**' }}], authorities: [{authority}]"))
}

#[track_caller]
fn starts(fault: &str, path: &str, words: &str) {
    let rest =
        fault.strip_prefix(&format!("{path}: ")).unwrap_or_else(|| panic!("{path} is not in front: {fault}"));
    assert!(rest.contains(words), "{words:?} is not in: {fault}");
}

#[test]
fn refused_authorities() {
    let key = serde_json::to_string(&*KEY).unwrap();
    let identity = "identities: [{ issuer: i, subject: s }]";
    let attestation = |rest: &str| format!("{{ key: {{ data: {key} }}, attestations: [{{ {rest} }}] }}");
    for (authority, path, words) in [
        ("{}", "", "one of key, keyless and static is needed"),
        ("{ key: { kms: 'gcpkms://x' } }", ".key.kms", "write the public key in `data`"),
        ("{ key: { secretRef: { name: s } } }", ".key.secretRef", "write the public key in `data`"),
        ("{ key: {} }", ".key.data", "is missing"),
        ("{ key: { data: /etc/passwd } }", ".key.data", "no -----BEGIN is in it"),
        ("{ key: { data: '-----BEGIN PUBLIC KEY-----' } }", ".key.data", "PEM"),
        (
            &format!("{{ key: {{ data: {key}, hashAlgorithm: sha512 }} }}"),
            ".key.hashAlgorithm",
            "only sha256",
        ),
        (&format!("{{ key: {{ data: {key}, extra: 1 }} }}"), ".key.extra", "not a field that is understood"),
        (&format!("{{ key: {{ data: {key} }}, keyless: {{ {identity} }} }}"), "", "not several"),
        (&format!("{{ key: {{ data: {key} }}, static: {{ action: pass }} }}"), "", "not several"),
        (
            &format!("{{ key: {{ data: {key} }}, source: [{{ oci: ghcr.io/a }}, {{ oci: Sigs }}] }}"),
            ".source[1].oci",
            "Sigs",
        ),
        (
            &format!("{{ key: {{ data: {key} }}, source: [{{ oci: ghcr.io/a, tagPrefix: x }}] }}"),
            ".source[0].tagPrefix",
            "leave it out",
        ),
        (
            &format!(
                "{{ key: {{ data: {key} }}, source: [{{ oci: ghcr.io/a, signaturePullSecrets: [{{ name: s }}] }}] }}"
            ),
            ".source[0].signaturePullSecrets",
            "`upstreams`",
        ),
        (&format!("{{ key: {{ data: {key} }}, source: [{{}}] }}"), ".source[0].oci", "is missing"),
        (
            &format!("{{ key: {{ data: {key} }}, signatureFormat: v3 }}"),
            ".signatureFormat",
            "legacy or bundle",
        ),
        (&format!("{{ key: {{ data: {key} }}, name: 'a/b' }}"), ".name", "a name is"),
        ("{ keyless: {} }", ".keyless.identities", "is missing"),
        (
            &format!("{{ keyless: {{ {identity}, ca-cert: {{ data: x }} }} }}"),
            ".keyless.ca-cert",
            "TrustRoot",
        ),
        ("{ keyless: { identities: [{ subject: s }] } }", ".keyless.identities[0].issuer", "is missing"),
        ("{ keyless: { identities: [{ issuer: i }] } }", ".keyless.identities[0].subject", "is missing"),
        (
            "{ keyless: { identities: [{ issuer: i, issuerRegExp: i, subject: s }] } }",
            ".keyless.identities[0].issuerRegExp",
            "contradicts issuer",
        ),
        (
            "{ keyless: { identities: [{ issuer: i, subject: s }, { issuer: i, subjectRegExp: 'a)|(b' }] } }",
            ".keyless.identities[1].subjectRegExp",
            "expected a regular expression",
        ),
        (
            "{ keyless: { identities: [{ issuer: 1, subject: s }] } }",
            ".keyless.identities[0].issuer",
            "expected a string, found 1; quote it",
        ),
        (
            &format!("{{ keyless: {{ {identity}, insecureIgnoreSCT: 'yes' }} }}"),
            ".keyless.insecureIgnoreSCT",
            "true or",
        ),
        ("{ static: {} }", ".static.action", "is missing"),
        ("{ static: { action: maybe } }", ".static.action", "pass or fail, found \"maybe\""),
        ("{ static: { action: pass }, ctlog: {} }", ".ctlog", "says nothing beside `static`"),
        ("{ static: { action: pass }, attestations: [{ name: a }] }", ".attestations", "says nothing beside"),
        (&attestation("predicateType: custom"), ".attestations[0].name", "is missing"),
        (&attestation("name: a"), ".attestations[0].predicateType", "is missing"),
        (
            &attestation("name: a, predicateType: sbom"),
            ".attestations[0].predicateType",
            "expected a predicate type, a URI",
        ),
        (
            &attestation("name: a, predicateType: custom }, { name: a, predicateType: vuln"),
            ".attestations[1].name",
            "is another attestation's name",
        ),
        (
            &attestation("name: a, predicateType: custom, policy: { type: cue, data: x }"),
            ".attestations[0].policy",
            "CUE and Rego are not evaluated: write the signer under `signers`, and `attested`",
        ),
    ] {
        starts(&of_authority(authority), &format!("spec.authorities[0]{path}"), words);
    }
}

#[test]
fn refused_specs() {
    let (images, key) = ("images: [{ glob: '**' }]", by_key("a"));
    let pass = "{ static: { action: pass } }";
    for (spec, path, words) in [
        (format!("authorities: [{key}]"), "spec.images", "is missing"),
        (format!("images: [{{}}], authorities: [{key}]"), "spec.images[0].glob", "is missing"),
        (
            format!("images: [{{ glob: '[a-z]*' }}], authorities: [{key}]"),
            "spec.images[0].glob",
            "expected a glob",
        ),
        (
            format!("images: [{{ glob: 'a:v1' }}], authorities: [{key}]"),
            "spec.images[0].glob",
            "names a tag or digest",
        ),
        (format!("images: [{{ regex: x }}], authorities: [{key}]"), "spec.images[0].regex", "not a field"),
        (images.to_owned(), "spec.authorities", "is missing"),
        (format!("{images}, authorities: {{}}"), "spec.authorities", "expected a list, found an object"),
        (
            format!("{images}, authorities: [{key}, {pass}]"),
            "spec.authorities[1].static.action",
            "let it stand alone",
        ),
        (
            format!("{images}, authorities: [{key}, {key}]"),
            "spec.authorities[1].name",
            "is another authority's name",
        ),
        (
            format!("{images}, authorities: [{key}], mode: audit"),
            "spec.mode",
            "enforce or warn, found \"audit\"",
        ),
        (
            format!("{images}, authorities: [{key}], match: [{{ resource: pods }}]"),
            "spec.match",
            "leave it out",
        ),
        (
            format!(
                "{images}, authorities: [{key}], policy: {{ fetchConfigFile: true, type: cue, data: x }}"
            ),
            "spec.policy",
            "CUE and Rego are not evaluated: say with `require`",
        ),
        (format!("{images}, authorities: [{key}], unheard: of"), "spec.unheard", "is not a field"),
    ] {
        starts(&of_spec(&spec), path, words);
    }
}

#[test]
fn refused_documents() {
    let spec = format!("images: [{{ glob: '**' }}], authorities: [{}]", by_key("a"));
    let good = policy_text("p", &spec);
    for (text, expected) in [
        (String::new(), ": holds no ClusterImagePolicy"),
        ("# nothing\n---\n".to_owned(), ": holds no ClusterImagePolicy"),
        ("- a\n".to_owned(), ":1:1: expected an object, found a list"),
        ("a: [\n".to_owned(), ":"),
        ("kind: x\nkind: y\n".to_owned(), ":2:1: the key is written twice"),
        (good.replace("v1beta1", "v2"), ":1:1: apiVersion: expected policy.sigstore.dev/v1beta1 or"),
        (
            good.replace("kind: ClusterImagePolicy", "kind: Secret"),
            ":2:1: kind: expected ClusterImagePolicy or TrustRoot, found",
        ),
        (good.replace("{ name: p }", "{}"), ":3:1: metadata.name: is missing"),
        (good.replace("{ name: p }", "{ name: 'a b' }"), ":3:13: metadata.name: a name is"),
        (good.replace("{ name: p }", "{ name: p, owner: me }"), ":3:22: metadata.owner: is not a field"),
        (
            good.replace("spec:", "specs:"),
            ":4:1: specs: is not a field that is understood here; these are: apiVersion,",
        ),
        (good.split("spec:").next().unwrap().to_owned(), ":1:1: spec: is missing"),
        (
            format!("{good}---\n{good}"),
            ":8:13: ClusterImagePolicy p: metadata.name: another ClusterImagePolicy",
        ),
        (format!("{good}---\nkind: 5\napiVersion: a\n"), ":6:1: kind: expected a string, found 5; quote it"),
    ] {
        let fault = fault(&text);
        assert!(fault.starts_with(expected), "{expected:?} is not in front: {fault}\n{text}");
    }
    assert!(fault(&"#".repeat((MAX_BYTES + 1) as usize)).contains("more than 1048576 bytes"));
}

#[test]
fn refused_trust_roots() {
    let root = |spec: &str| {
        format!(
            "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {{ name: r }}\nspec: {{ {spec} }}\n"
        )
    };
    let (chain, key) = (&ROOT.chain, &ROOT.key);
    let log = |rest: &str| {
        format!(
            "sigstoreKeys: {{ certificateAuthorities: [{{ certChain: {chain} }}], tLogs: [{{ {rest} }}] }}"
        )
    };
    for (spec, path, words) in [
        ("remote: { mirror: 'https://tuf' }", "spec.remote", "under `sigstoreKeys`"),
        ("repository: { root: x }", "spec.repository", "under `sigstoreKeys`"),
        ("", "spec.sigstoreKeys", "a TrustRoot is read from nothing else"),
        ("unheard: of", "spec.unheard", "is not a field"),
        ("sigstoreKeys: {}", "spec.sigstoreKeys", "names neither certificateAuthorities nor"),
        (
            "sigstoreKeys: { certificateAuthorities: [{}] }",
            "spec.sigstoreKeys.certificateAuthorities[0].certChain",
            "is missing",
        ),
        (
            "sigstoreKeys: { certificateAuthorities: [{ certChain: '!' }] }",
            "spec.sigstoreKeys.certificateAuthorities[0].certChain",
            "it is no base64",
        ),
        (
            // `/etc/passwd`: a path is no PEM.
            "sigstoreKeys: { certificateAuthorities: [{ certChain: L2V0Yy9wYXNzd2Q= }] }",
            "spec.sigstoreKeys.certificateAuthorities[0].certChain",
            "no -----BEGIN is in it",
        ),
        (
            &log(&format!("hashAlgorithm: sha256, publicKey: {key}")),
            "spec.sigstoreKeys.tLogs[0].baseURL",
            "is missing",
        ),
        (
            &log(&format!("baseURL: u, hashAlgorithm: sha512, publicKey: {key}")),
            "spec.sigstoreKeys.tLogs[0].hashAlgorithm",
            "expected sha-256",
        ),
        (&log("baseURL: u, hashAlgorithm: sha256"), "spec.sigstoreKeys.tLogs[0].publicKey", "is missing"),
    ] {
        let fault = fault(&root(spec));
        let (_, rest) = fault.split_once(": TrustRoot r: ").unwrap_or_else(|| panic!("{fault}"));
        starts(rest, path, words);
    }
    let twice = format!("{}---\n{}", root(&ROOT.spec()), root(&ROOT.spec()));
    assert!(
        fault(&twice).contains("TrustRoot r: metadata.name: another TrustRoot of the file has this name")
    );
}

#[test]
fn a_file_is_named_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cip.yaml");
    let absent = ClusterImagePolicies::read(&path, None).err().unwrap().to_string();
    assert!(absent.contains(&format!("{}: No such file", path.display())), "{absent}");
    std::fs::write(&path, "kind: [").unwrap();
    let broken = ClusterImagePolicies::read(&path, None).err().unwrap().to_string();
    assert!(broken.contains(&format!("{}:1:", path.display())), "{broken}");
}

#[test]
fn a_file_makes_so_many_signers_and_globs_and_no_more() {
    let identity = "{ issuer: i, subject: s }";
    let many =
        |count: usize| format!("{{ keyless: {{ identities: [{}] }} }}", vec![identity; count].join(","));
    file(&policy_text("p", &format!("images: [{{ glob: '**' }}], authorities: [{}]", many(500))));
    starts(&of_authority(&many(501)), "spec.authorities[0]", "at most 500 signers");
    let globs = vec!["{ glob: a }"; 1001].join(",");
    let text = policy_text("p", &format!("images: [{globs}], authorities: [{}]", by_key("a")));
    assert_eq!(fault(&text), ": has more than 1000 globs");
}
