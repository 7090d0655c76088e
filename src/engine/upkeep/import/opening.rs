//! Opens what was carried here, and compares what it says of itself. Blocks.

mod answers;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Layout, Outcome, Pulled, Wanted};
use crate::engine::upkeep::Platform;
use crate::engine::upkeep::contents::{self, Contents, Sealed, Standing};
use crate::oci::{Digest, Reference, Repository, Target};
use crate::setting::time;
use crate::telemetry::Untrusted;
use crate::trust::revocation::Brought;
use crate::upstream::{Carried, CarriedLayout, Expected};
use crate::x509::PublicKey;
use answers::Answers;

/// A clock may differ so much from the exporter's.
const CLOCK_SLACK: Duration = Duration::from_secs(5 * 60);
/// All revocation answers together, in bytes.
const MAX_BROUGHT: usize = 512 << 20;
/// Of more that is of no use in one layout nothing is told.
const MAX_PASSED_OVER: usize = 32;

pub(super) struct Opened {
    pub(super) layouts: Vec<Layout>,
    pub(super) wanted: Vec<Wanted>,
    /// What is not looked at further, and why.
    pub(super) refused: Vec<Pulled>,
    pub(super) carried: Carried,
    pub(super) brought: Brought,
    confirmed: HashSet<Reference>,
}

/// A layout with what it says of itself.
struct Read {
    named: Vec<(Reference, Digest)>,
    contents: Option<Contents>,
    /// Why the contents cannot be read.
    illegible: Option<String>,
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
            Carried::open(paths, repository, contents::FILE, contents::MAX_BYTES).map_err(|e| e.plainly())?;
        let read: Vec<Read> = carried.layouts().iter().map(|layout| Read::of(layout, keys)).collect();
        let (layouts, wanted, refused) = (Vec::new(), Vec::new(), Vec::new());
        let (brought, confirmed) = (Brought::default(), HashSet::new());
        let mut opened = Self { layouts, wanted, refused, carried, brought, confirmed };
        let mut looked_at = Vec::with_capacity(read.len());
        for mut read in read {
            if let Some((outcome, why)) = read.barred(!keys.is_empty(), now)? {
                opened.leave(read, outcome, &why);
                continue;
            }
            if let Some(contents) = &read.contents {
                opened.expect(contents, &mut read.layout);
            }
            looked_at.push(read);
        }
        let listing =
            looked_at.iter_mut().filter_map(|read| Some((read.contents.as_ref()?, &mut read.layout)));
        let answers = Answers::of(&opened.carried, listing.collect(), MAX_BROUGHT);
        opened.brought = Brought::new(answers.taken, answers.lost);
        for read in looked_at {
            opened.choose(read);
        }
        opened.carried.retain(|name| opened.confirmed.contains(name));
        Ok(opened)
    }

    /// Notes which content should be there, and which pieces are not.
    fn expect(&mut self, contents: &Contents, layout: &mut Layout) {
        let mut missing = BTreeSet::new();
        for listed in &contents.blobs {
            let Some(piece) = listed.piece else {
                self.carried.expect(listed.digest, Expected::LeftOut(listed.size));
                continue;
            };
            self.carried.expect(listed.digest, Expected::Here);
            match self.carried.size(&listed.digest) {
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(why) => layout.pass_over(why.plainly()),
            }
            missing.insert(piece);
        }
        layout.missing_pieces = missing.into_iter().collect();
    }

    /// Looks at nothing of a layout.
    fn leave(&mut self, read: Read, outcome: Outcome, why: &str) {
        let names = read.named.iter().filter(|(reference, _)| !is_subject_tag(reference));
        let left = names.map(|(reference, _)| {
            let left = Pulled::nothing(reference.to_string(), outcome);
            Pulled { reason: Some(why.to_owned()), ..left }
        });
        self.refused.extend(left);
        self.layouts.push(read.layout);
    }

    /// Sorts the references: what the contents do not confirm is not looked at.
    fn choose(&mut self, read: Read) {
        let trusted = read.is_trusted();
        let Read { named, contents, layout, .. } = read;
        let made = contents.as_ref().map(|contents| contents.made);
        let platforms: Arc<[Platform]> = contents.iter().flat_map(|c| c.platforms.clone()).collect();
        let listed: Option<HashMap<&str, &Digest>> =
            contents.as_ref().map(|c| c.references.iter().map(|r| (r.name.as_str(), &r.digest)).collect());
        for (reference, digest) in &named {
            let name = reference.to_string();
            let why = match &listed {
                _ if self.carried.named(reference).is_none() => {
                    Some("the name stands for two manifests in what was given: import one after the other")
                }
                Some(listed) if listed.get(name.as_str()) != Some(&digest) => {
                    Some("the layout's index names it, and the contents do not, or as another manifest")
                }
                _ => None,
            };
            match why {
                Some(why) => self.refused.push(Pulled::refused(name, why.to_owned())),
                None => _ = self.confirmed.insert(reference.clone()),
            }
            // What is about another manifest comes with that.
            if why.is_none() && !is_subject_tag(reference) {
                let (reference, platforms) = (reference.clone(), Arc::clone(&platforms));
                self.wanted.push(Wanted { reference, digest: *digest, platforms, made, trusted });
            }
        }
        let missing = contents.iter().flat_map(|contents| &contents.references);
        let named: HashMap<String, Digest> = named.into_iter().map(|(r, d)| (r.to_string(), d)).collect();
        for reference in missing.filter(|reference| !named.contains_key(&reference.name)) {
            let why = "the contents list it, and the layout's index does not name it".to_owned();
            self.refused.push(Pulled::refused(shown_name(&reference.name), why));
        }
        self.layouts.push(layout);
    }
}

impl Read {
    fn of(layout: &CarriedLayout, keys: &[PublicKey]) -> Self {
        let (sealed, illegible) = match layout.beside.as_deref().map(Sealed::read) {
            Some(Ok(sealed)) => (Some(sealed), None),
            Some(Err(why)) => (None, Some(format!("{}: {}", contents::FILE, Untrusted::new(why)))),
            None => (None, None),
        };
        let standing = sealed.as_ref().map_or(Standing::Absent, |sealed| sealed.standing(keys));
        let contents = sealed.map(|sealed| sealed.contents);
        let mut about = Layout {
            path: layout.path.clone(),
            standing,
            made: contents.as_ref().map(|contents| time::show(contents.made)),
            since: contents.as_ref().and_then(|contents| contents.since),
            references: layout.named.iter().filter(|(reference, _)| !is_subject_tag(reference)).count(),
            broken: layout.broken.clone(),
            damaged: layout.damaged,
            answers_lost: 0,
            missing_pieces: Vec::new(),
            passed_over: illegible.iter().chain(&layout.unread).cloned().collect(),
        };
        for name in &layout.nameless {
            let name = Untrusted::new(name);
            about.pass_over(format!(
                "an entry called {name:?}, which is no full name, such as docker.io/library/nginx:1.27"
            ));
        }
        Self { named: layout.named.clone(), contents, illegible, layout: about }
    }

    fn is_trusted(&self) -> bool {
        matches!(self.layout.standing, Standing::Trusted { .. })
    }

    /// Why nothing of it is looked at, where that is so.
    ///
    /// # Errors
    /// A clock that cannot be right, by the word of somebody trusted.
    fn barred(&self, must_be_signed: bool, now: SystemTime) -> Result<Option<(Outcome, String)>, String> {
        if let Some(why) = &self.layout.broken {
            return Ok(Some((Outcome::Trouble, why.clone())));
        }
        if must_be_signed && !self.is_trusted() {
            let why = "no trusted key signed the contents that it is listed in";
            return Ok(Some((Outcome::Refused, why.to_owned())));
        }
        if let Some(why) = &self.illegible {
            return Ok(Some((Outcome::Refused, why.clone())));
        }
        let in_time = self.contents.as_ref().map_or(Ok(()), |contents| in_time(contents, &self.layout, now));
        match in_time {
            Ok(()) => Ok(None),
            Err(why) if self.is_trusted() => Err(why),
            Err(why) => Ok(Some((Outcome::Trouble, why))),
        }
    }
}

impl Layout {
    fn pass_over(&mut self, why: String) {
        if self.passed_over.len() < MAX_PASSED_OVER {
            self.passed_over.push(why);
        }
    }
}

/// Contents name what they like.
fn shown_name(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| Untrusted::new(name).to_string(), |name| name.to_string())
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

#[cfg(test)]
mod tests;
