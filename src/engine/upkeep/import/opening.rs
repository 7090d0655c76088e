//! Opens what was carried here, and compares what it says of itself. Blocks.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Layout, Wanted};
use crate::engine::upkeep::Platform;
use crate::engine::upkeep::contents::{self, Contents, Sealed, Standing};
use crate::oci::{Digest, Reference, Repository, Target};
use crate::setting::time;
use crate::trust::revocation::Brought;
use crate::upstream::{Carried, CarriedLayout, Expected};
use crate::x509::{PublicKey, crl};

/// A clock may differ so much from the exporter's.
const CLOCK_SLACK: Duration = Duration::from_secs(5 * 60);
/// All revocation answers together, in bytes.
const MAX_BROUGHT: usize = 512 << 20;

pub(super) struct Opened {
    pub(super) layouts: Vec<Layout>,
    pub(super) wanted: Vec<Wanted>,
    /// What is not looked at further, and why.
    pub(super) refused: Vec<(String, String)>,
    pub(super) carried: Carried,
    pub(super) brought: Brought,
    confirmed: HashSet<Reference>,
}

/// A layout with what it says of itself.
struct Read {
    named: Vec<(Reference, Digest)>,
    contents: Option<Contents>,
    layout: Layout,
}

impl Opened {
    /// # Errors
    /// What cannot be read, a clock that cannot be right.
    pub(super) fn open(
        paths: &[PathBuf],
        repository: Option<Repository>,
        keys: &[PublicKey],
        now: SystemTime,
    ) -> Result<Self, String> {
        let carried =
            Carried::open(paths, repository, contents::FILE, contents::MAX_BYTES).map_err(|e| shown(&e))?;
        let read = carried.layouts().iter().map(|layout| read(layout, keys));
        let read = read.collect::<Result<Vec<_>, _>>()?;
        let (layouts, wanted, refused) = (Vec::new(), Vec::new(), Vec::new());
        let (brought, confirmed) = (Brought::default(), HashSet::new());
        let mut opened = Self { layouts, wanted, refused, carried, brought, confirmed };
        let mut answers = Vec::new();
        for mut read in read {
            let distrusted = !keys.is_empty() && !matches!(read.layout.standing, Standing::Trusted { .. });
            if let Some(contents) = read.contents.as_ref().filter(|_| !distrusted) {
                in_time(contents, &read.layout, now)?;
                opened.expect(contents, &mut read.layout)?;
                opened.answers(contents, &mut read.layout, &mut answers)?;
            }
            opened.choose(read, distrusted);
        }
        opened.brought = Brought::new(answers);
        opened.carried.retain(|name| opened.confirmed.contains(name));
        Ok(opened)
    }

    /// Notes which content should be there, and which pieces are not.
    fn expect(&mut self, contents: &Contents, layout: &mut Layout) -> Result<(), String> {
        let mut missing = BTreeSet::new();
        for listed in &contents.blobs {
            let Some(piece) = listed.piece else {
                self.carried.expect(listed.digest, Expected::LeftOut(listed.size));
                continue;
            };
            self.carried.expect(listed.digest, Expected::Here);
            if !self.carried.has(&listed.digest).map_err(|e| shown(&e))? {
                missing.insert(piece);
            }
        }
        layout.missing_pieces = missing.into_iter().collect();
        Ok(())
    }

    fn answers(
        &self,
        contents: &Contents,
        layout: &mut Layout,
        answers: &mut Vec<(crate::trust::revocation::Answer, bytes::Bytes)>,
    ) -> Result<(), String> {
        let mut total: usize = answers.iter().map(|(_, der)| der.len()).sum();
        for answer in &contents.revocation {
            match self.carried.read(&answer.digest, crl::MAX_DER as u64) {
                Ok(der) => {
                    total += der.len();
                    answers.push((answer.clone(), der));
                }
                Err(why) => layout.passed_over.push(format!("revocation data: {}", shown(&why))),
            }
            if total > MAX_BROUGHT {
                return Err(format!("more than {MAX_BROUGHT} bytes of revocation data"));
            }
        }
        Ok(())
    }

    /// Sorts the references: what the contents do not confirm is not looked at.
    fn choose(&mut self, read: Read, distrusted: bool) {
        let Read { named, contents, layout } = read;
        let platforms: Arc<[Platform]> = contents.iter().flat_map(|c| c.platforms.clone()).collect();
        let listed: Option<HashMap<&str, &Digest>> =
            contents.as_ref().map(|c| c.references.iter().map(|r| (r.name.as_str(), &r.digest)).collect());
        for (reference, digest) in &named {
            let name = reference.to_string();
            let why = match &listed {
                _ if self.carried.named(reference).is_none() => {
                    Some("the name stands for two manifests in what was given: import one after the other")
                }
                _ if distrusted => Some("no trusted key signed the contents that it is listed in"),
                Some(listed) if listed.get(name.as_str()) != Some(&digest) => {
                    Some("the layout's index names it, and the contents do not, or as another manifest")
                }
                _ => None,
            };
            match why {
                Some(why) => self.refused.push((name, why.to_owned())),
                None => _ = self.confirmed.insert(reference.clone()),
            }
            // What is about another manifest comes with that.
            if why.is_none() && !is_subject_tag(reference) {
                let platforms = Arc::clone(&platforms);
                self.wanted.push(Wanted { reference: reference.clone(), digest: *digest, platforms });
            }
        }
        let missing = contents.iter().flat_map(|contents| &contents.references);
        let named: HashMap<String, Digest> = named.into_iter().map(|(r, d)| (r.to_string(), d)).collect();
        for reference in missing.filter(|reference| !named.contains_key(&reference.name)) {
            let why = "the contents list it, and the layout's index does not name it".to_owned();
            self.refused.push((reference.name.clone(), why));
        }
        self.layouts.push(layout);
    }
}

fn read(layout: &CarriedLayout, keys: &[PublicKey]) -> Result<Read, String> {
    let sealed = layout.beside.as_deref().map(Sealed::read).transpose();
    let sealed = sealed.map_err(|why| format!("{}: {}: {why}", layout.path.display(), contents::FILE))?;
    let standing = sealed.as_ref().map_or(Standing::Absent, |sealed| sealed.standing(keys));
    let contents = sealed.map(|sealed| sealed.contents);
    let nameless = layout.nameless.iter().take(16);
    let passed_over = nameless.map(|name| {
        format!("an entry called {name:?}, which is no full name, such as docker.io/library/nginx:1.27")
    });
    let about = Layout {
        path: layout.path.clone(),
        standing,
        made: contents.as_ref().map(|contents| time::show(contents.made)),
        since: contents.as_ref().and_then(|contents| contents.since),
        references: layout.named.iter().filter(|(reference, _)| !is_subject_tag(reference)).count(),
        missing_pieces: Vec::new(),
        passed_over: passed_over.collect(),
    };
    Ok(Read { named: layout.named.clone(), contents, layout: about })
}

fn is_subject_tag(reference: &Reference) -> bool {
    matches!(&reference.target, Target::Tag(tag) if tag.names_subject().is_some())
}

/// Without a network nobody else tells the time: a clock that is behind would take what has ended for valid.
fn in_time(contents: &Contents, layout: &Layout, now: SystemTime) -> Result<(), String> {
    if contents.made.duration_since(now).is_ok_and(|ahead| ahead > CLOCK_SLACK) {
        let (path, made, now) = (layout.path.display(), time::show(contents.made), time::show(now));
        return Err(format!("{path} was made at {made}, and this clock shows {now}: set it right first"));
    }
    Ok(())
}

/// Without the words that are for registries.
fn shown(error: &crate::upstream::Error) -> String {
    match error {
        crate::upstream::Error::Unavailable(why) => why.clone(),
        other => other.to_string(),
    }
}
