//! Names of keys that are kept elsewhere: what is read leads to no other file or host than it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::signing::kms::Reference;
use portcullis::signing::pkcs11::{Module, Uri};
use portcullis::signing::plugin::Name;

fuzz_target!(|text: &str| {
    if let Ok(uri) = Uri::parse(text) {
        let file = |path: &std::path::Path| !path.as_os_str().is_empty();
        assert!(uri.pin_source.as_deref().is_none_or(file));
        match uri.module {
            Some(Module::Path(path)) => assert!(path.is_absolute()),
            Some(Module::Name(name)) => assert!(!name.contains('/')),
            None => {}
        }
    }
    if let Ok(name) = Name::parse(text) {
        assert!(!name.plugin.contains('/') && !name.plugin.starts_with('.') && !name.id.is_empty());
    }
    if let Ok(reference) = Reference::parse(text) {
        assert!(text.ends_with(&reference.key));
        assert!(reference.endpoint.is_none_or(|url| url.scheme() == "https" && url.path() == "/"));
    }
});
