use super::*;

fn identities(list: &[&str]) -> Result<Identities, (Option<usize>, String)> {
    Identities::parse(&list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), true)
}

#[test]
fn lists_hold_a_star_alone_or_names_that_do_not_overlap() {
    const A: &str = "x509.subject: C=US, ST=WA, O=a";
    assert_eq!(identities(&["*"]), Ok(Identities::Any));
    assert!(identities(&[A, "x509.subject: C=US, ST=WA, O=b"]).is_ok());
    assert!(identities(&[]).is_err());
    for (bad, at) in [
        (&[A, "*"][..], 1),
        (&[A, A], 1),
        (&[A, "x509.subject: C=US, ST=WA, O=a, OU=x"], 1),
        (&["x509.subject: C=US, ST=WA, O=a, CN=y", "x509.subject: C=US, ST=WA, O=a, OU=x"], 1),
        (&["C=US, ST=WA, O=a"], 0),
        (&["x509.issuer: C=US, ST=WA, O=a"], 0),
        (&[""], 0),
    ] {
        assert_eq!(identities(bad).unwrap_err().0, Some(at), "{bad:?}");
    }
}

/// C=US, ST=WA, OU=x+O=acme: the last two in one relative name.
const MULTI_VALUED: &str = "-----BEGIN CERTIFICATE-----
MIIBuzCCAWGgAwIBAgIUe1KcxrbLxVeGMr1JR8O7R5W8x7MwCgYIKoZIzj0EAwIw
MzELMAkGA1UEBhMCVVMxCzAJBgNVBAgMAldBMRcwCAYDVQQLDAF4MAsGA1UECgwE
YWNtZTAeFw0yNjExMjIwMjQzMDNaFw0zNjExMTkwMjQzMDNaMDMxCzAJBgNVBAYT
AlVTMQswCQYDVQQIDAJXQTEXMAgGA1UECwwBeDALBgNVBAoMBGFjbWUwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAAS6X5HOmeX1t2axtBxv3VC3hRjIZSfncyLed0aB
80ATN2PrJcItetU5Uz4QjpqAIKuPQT481LKAPaNgLvji/zGLo1MwUTAdBgNVHQ4E
FgQUsIJ1srBPmHh3oZJGTqwXy8Xc/oowHwYDVR0jBBgwFoAUsIJ1srBPmHh3oZJG
TqwXy8Xc/oowDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA8VoK
BqHveVmP37eULjwM0x81UnvK+q4n3I/kVrZh2cQCIGVhPBJT8CorFfcTKy6Yc50J
UKcdpith8bKfVqZ9Areq
-----END CERTIFICATE-----
";

#[test]
fn a_subject_with_joined_attributes_is_nobodys() {
    let certificate = crate::x509::Certificate::all_from(MULTI_VALUED.as_bytes()).unwrap().remove(0);
    assert!(Identities::Any.admit(certificate.subject()));
    for identity in ["x509.subject: C=US, ST=WA, O=acme", "x509.subject: C=US, ST=WA, O=acme, OU=x"] {
        assert!(!identities(&[identity]).unwrap().admit(certificate.subject()), "{identity}");
    }
}
