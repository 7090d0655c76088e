//! What a thread has answered from memory and is asked again: when a thousand machines pull an image, they all ask for
//! the same few manifests. It spares reading the request anew, and writing to what all threads share, which cores have
//! to pass on to each other. Nothing is served because it is here: the gate is asked each time whether it still may be.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Arc, Weak};

use http::Method;
use http::request::Parts;

use super::{Prepared, host};
use crate::admission::Hit;
use crate::http::reply::Labels;
use crate::http::route::{Content, Endpoint, Route, RouteError};
use crate::oci::Target;

/// A thread keeps so many answers.
const PLACES: usize = 32;
/// What was asked for at greater length is not kept.
const MAX_TARGET_BYTES: usize = 1024;
/// Targets differ in their ends: a digest's last digits, a name and a tag.
const HASHED_BYTES: usize = 32;

/// What was answered, and all that it takes to answer it again.
pub(super) struct Known {
    pub(super) routed: Result<Route, RouteError>,
    pub(super) hit: Hit,
    pub(super) labels: Labels,
}

/// What makes two requests the same: who answers, under which name, what is asked for.
pub(super) struct Question<'a> {
    prepared: &'a Arc<Prepared>,
    host: Option<&'a str>,
    target: &'a str,
    hash: u64,
}

/// Where the questions of one hash are answered.
#[derive(Default)]
struct Place {
    /// The hash of the last question that had no answer here.
    asked: Option<u64>,
    entry: Option<Entry>,
}

struct Entry {
    /// Keeps the address, so that nobody else can have it meanwhile, and nothing more.
    prepared: Weak<Prepared>,
    host: Option<String>,
    target: String,
    known: Known,
}

thread_local! {
    static NEAR: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

impl<'a> Question<'a> {
    /// The question of a request that reads.
    pub(super) fn of(parts: &'a Parts, prepared: &'a Arc<Prepared>) -> Option<Self> {
        let target = parts.uri.path_and_query()?.as_str();
        let host = host(parts).ok()?;
        if !matches!(parts.method, Method::GET | Method::HEAD) || target.len() > MAX_TARGET_BYTES {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(&target.as_bytes()[target.len().saturating_sub(HASHED_BYTES)..]);
        Some(Self { prepared, host, target, hash: hasher.finish() })
    }

    /// Answers as before, where `again` still can; else that is forgotten.
    pub(super) fn recall<T>(&self, again: impl FnOnce(&Known) -> Option<T>) -> Option<T> {
        NEAR.with_borrow_mut(|places| {
            let place = places.get_mut(self.place())?;
            let answer = again(&place.entry.as_ref().filter(|entry| self.is_of(entry))?.known);
            if answer.is_none() {
                place.entry = None;
            }
            answer
        })
    }

    /// Keeps a manifest's answer that is asked for a second time with no other of its place between: who asks for a
    /// million manifests in turn has none of them copied.
    pub(super) fn keep(&self, content: &Content, known: impl FnOnce(&Target) -> Option<Known>) {
        let Endpoint::Manifest(target) = &content.endpoint else { return };
        NEAR.with_borrow_mut(|places| {
            if places.is_empty() {
                places.resize_with(PLACES, Place::default);
            }
            let Some(place) = places.get_mut(self.place()) else { return };
            if place.asked.replace(self.hash) != Some(self.hash) {
                return;
            }
            let Some(known) = known(target) else { return };
            place.entry = Some(Entry {
                prepared: Arc::downgrade(self.prepared),
                host: self.host.map(str::to_owned),
                target: self.target.to_owned(),
                known,
            });
        });
    }

    fn is_of(&self, entry: &Entry) -> bool {
        entry.prepared.as_ptr() == Arc::as_ptr(self.prepared)
            && entry.target == self.target
            && entry.host.as_deref() == self.host
    }

    fn place(&self) -> usize {
        // The remainder is below the number of places.
        (self.hash % PLACES as u64) as usize
    }
}

#[cfg(test)]
pub(super) mod tests;
