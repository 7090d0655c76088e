//! Names as clients send them: what is accepted reads back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::oci::{Digest, Reference, Repository};

fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        let shown = reference.to_string();
        assert_eq!(Reference::parse(&shown).as_ref(), Ok(&reference), "{shown}");
    }
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(repository) = Repository::parse(text) {
        let shown = repository.to_string();
        assert_eq!(Repository::parse(&shown).as_ref(), Ok(&repository), "{shown}");
    }
});
