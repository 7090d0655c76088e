//! sigstore's `ClusterImagePolicy`: policies whose signers are all there, or the fault, which is told with its
//! place.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::oci::Repository;
use portcullis::policy::{ClusterImagePolicies, Demand, Mode};

static REPOSITORIES: LazyLock<Vec<Repository>> = LazyLock::new(|| {
    let names =
        ["docker.io/library/demo", "docker.io/acme/demo", "ghcr.io/acme/demo/app", "localhost:5000/demo"];
    names.iter().map(|name| Repository::parse(name).expect("a valid name")).collect()
});

fuzz_target!(|text: &str| {
    match ClusterImagePolicies::parse("cip.yaml", text, None) {
        Ok(file) => {
            for repository in &*REPOSITORIES {
                let (demand, mode) = file.of(repository);
                assert_eq!((&demand, mode), (&file.of(repository).0, file.of(repository).1));
                match demand {
                    Demand::Require(require) => {
                        let signers = require.signers();
                        assert!(!signers.is_empty() && mode != Mode::Allow);
                        assert!(signers.iter().all(|name| file.signers().contains_key(*name)));
                    }
                    Demand::Never(reason) => assert!(!reason.message.is_empty() && mode != Mode::Allow),
                    Demand::Nothing => assert!(mode == Mode::Allow && !file.warnings().is_empty()),
                }
            }
        }
        Err(fault) => assert!(fault.starts_with(':'), "{fault:?}"),
    }
});
