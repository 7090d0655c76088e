//! RFC 3161 timestamp tokens. Those of the seeds are genuine; no change makes another time of one.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::x509::Certificate;
use portcullis::x509::timestamp::Token;
use portcullis_fuzz::file;

static MESSAGE: LazyLock<Vec<u8>> = LazyLock::new(|| read("trust/tsa-message"));
static ANCHORS: LazyLock<Vec<Certificate>> =
    LazyLock::new(|| Certificate::all_from(&read("trust/tsa-root.pem")).expect("a certificate"));

fuzz_target!(|bytes: &[u8]| {
    let _ = Token::from_response(bytes);
    let Ok(token) = Token::parse(bytes) else { return };
    let _ = token.verify(b"another message", &ANCHORS).expect_err("one message a token");
    if let Ok(timestamp) = token.verify(&MESSAGE, &ANCHORS) {
        assert_eq!(timestamp.chain().last(), ANCHORS.first());
        assert!(timestamp.earliest() <= timestamp.at() && timestamp.at() <= timestamp.latest());
        let of_the_seeds = ["p256", "rsa"];
        let signer = timestamp.chain().first().and_then(Certificate::common_name);
        assert!(signer.is_some_and(|name| of_the_seeds.contains(&name)));
    }
});

fn read(name: &str) -> Vec<u8> {
    std::fs::read(file(name)).expect("the file is in the repository")
}
