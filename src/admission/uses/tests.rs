use std::sync::mpsc;

use super::*;
use crate::store::Store;
use crate::telemetry::Metrics;

const PATIENCE: Duration = Duration::from_secs(10);

fn name(of: &str) -> Name {
    (Repository::parse("reg.test/app").unwrap(), Digest::sha256(of.as_bytes()))
}

fn books() -> (Store, Arc<Uses>) {
    let store = Store::ephemeral(&Metrics::new()).unwrap();
    let uses = Uses::open(store.records()).unwrap();
    (store, Arc::new(uses))
}

/// Notes a use on a thread of its own, and says when that is done.
fn noting(uses: &Arc<Uses>, name: Name, done: &mpsc::Sender<()>) {
    let (uses, done) = (Arc::clone(uses), done.clone());
    std::thread::spawn(move || {
        uses.note(name, 2);
        let _ = done.send(());
    });
}

#[test]
fn who_uses_another_manifest_does_not_wait_for_one_that_is_being_retired_and_who_uses_that_does() {
    let (_store, uses) = books();
    uses.enter(&name("old"), 1, true).unwrap();
    uses.write_back(|_| Ok(())).unwrap();
    let entry = uses.oldest(&[], 1).unwrap().0.remove(0);
    let (done, told) = mpsc::channel();
    let retired = uses.unless_used(&entry, || {
        noting(&uses, name("other"), &done);
        told.recv_timeout(PATIENCE).expect("it waits for another");
        noting(&uses, name("old"), &done);
        told.recv_timeout(Duration::from_millis(200)).expect_err("it is used while it goes");
        uses.strike(&entry, []);
        Ok(())
    });
    assert!(retired.unwrap());
    told.recv_timeout(PATIENCE).expect("it waits for ever");
    assert!(!uses.has(&entry.name).unwrap() && uses.count() == 0);
    uses.write_back(|_| Ok(())).unwrap();
    assert!(uses.has(&entry.name).unwrap(), "it was used again");
    assert!(!uses.unless_used(&entry, || panic!("what was used is retired")).unwrap());
}

#[test]
fn what_was_noted_is_known_while_it_is_being_written() {
    let (store, uses) = books();
    let rows = store.records().table("links");
    let names: Vec<Name> = (0..20).map(|at| name(&at.to_string())).collect();
    names.iter().for_each(|name| uses.note(name.clone(), 1));
    uses.enter(&name("linked"), 1, true).unwrap();
    let sweep = |_: &Name| {
        for (repository, digest) in &names {
            let key = within(repository, digest);
            assert!(!uses.strike_unless_kept(&rows, key, Some(*digest))?, "it is not known for a moment");
        }
        Ok(())
    };
    uses.write_back(sweep).unwrap();
    assert_eq!(uses.count(), 21);
    let unknown = name("unknown");
    assert!(uses.strike_unless_kept(&rows, within(&unknown.0, &unknown.1), Some(unknown.1)).unwrap());
}
