//! The story: what is pulled and carried, what is told to happen, and what happened.

mod scenes;

use std::fmt;

use super::client::Client;
use super::pull::{Pulled, pull};
use super::stage::Stage;
use super::{Error, Package, Proxy};
use crate::access::Principal;
use crate::engine::upkeep::{self, Outcome};
use crate::oci::Reference;

/// One step that was played.
#[derive(Debug)]
pub struct Played {
    /// What it shows.
    pub title: &'static str,
    /// What was pulled or carried.
    pub reference: String,
    /// What was told.
    pub expected: Expected,
    /// What came of it.
    pub came: Came,
    /// The names that the content was signed under.
    pub origin: Vec<String>,
}

/// What is told to happen.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// All of it comes, signed under this name, where the signature holds one.
    Served(Option<&'static str>),
    /// A refusal whose message holds all of these.
    Refused(u16, &'static [&'static str]),
    /// The connection ends before forged content is complete.
    Broken,
    /// All of it is exported, or taken in.
    Carried,
    /// It is not exported or not taken in, for a reason that holds all of these.
    Left(&'static [&'static str]),
}

/// What came of a step.
#[derive(Debug)]
pub enum Came {
    /// A client pulled.
    Pulled(Pulled),
    /// It was exported or imported; `None` where nothing was said of it.
    Carried(Option<upkeep::Pulled>),
}

impl Expected {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Served(_) => "served",
            Self::Refused(..) | Self::Left(_) => "refused",
            Self::Broken => "cut off",
            Self::Carried => "carried",
        }
    }
}

impl Played {
    /// Whether it came out as told.
    pub fn as_told(&self) -> bool {
        match &self.came {
            Came::Pulled(pulled) => self.is_pulled_as_told(pulled),
            Came::Carried(carried) => {
                carried.as_ref().is_some_and(|carried| self.is_carried_as_told(carried))
            }
        }
    }

    fn is_pulled_as_told(&self, pulled: &Pulled) -> bool {
        match (&self.expected, pulled) {
            (Expected::Served(Some(name)), Pulled::Whole { .. }) => {
                // The gate counter-signs a digest, where publishers sign a tag.
                let is_it = |origin: &String| origin.split('@').next() == Some(name);
                self.origin.iter().any(is_it)
            }
            (Expected::Served(None), Pulled::Whole { .. }) => true,
            (Expected::Refused(expected, words), Pulled::Refused { status, message, .. }) => {
                expected == status && words.iter().all(|word| message.contains(word))
            }
            (Expected::Broken, Pulled::Broken { .. }) => true,
            // A layer as short as this one may be found out before the answer begins.
            (Expected::Broken, Pulled::Refused { status: 503, message, .. }) => {
                message.contains("is something else")
            }
            _ => false,
        }
    }

    fn is_carried_as_told(&self, carried: &upkeep::Pulled) -> bool {
        let reason = carried.reason.as_deref().unwrap_or_default();
        match (&self.expected, carried.outcome) {
            (Expected::Carried, Outcome::Kept) => true,
            (Expected::Left(words), Outcome::Refused | Outcome::Trouble) => {
                words.iter().all(|word| reason.contains(word))
            }
            _ => false,
        }
    }
}

impl Came {
    /// What happened, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pulled(Pulled::Whole { .. }) => "served",
            Self::Pulled(Pulled::Refused { .. }) => "refused",
            Self::Pulled(Pulled::Broken { .. }) => "cut off",
            Self::Pulled(Pulled::Forged(_)) => "FORGED",
            Self::Carried(Some(carried)) if carried.outcome == Outcome::Kept => "carried",
            Self::Carried(Some(_)) => "refused",
            Self::Carried(None) => "nothing",
        }
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pulled(pulled) => pulled.fmt(f),
            Self::Carried(None) => f.write_str("nothing was said of it"),
            Self::Carried(Some(carried)) => match &carried.reason {
                Some(reason) => f.write_str(reason),
                None => write!(f, "{} manifests with signatures, configs and layers", carried.manifests),
            },
        }
    }
}

struct Step {
    title: &'static str,
    reference: String,
    expected: Expected,
    by: By,
}

/// Who pulls or carries.
#[derive(Clone, Copy)]
enum By {
    /// A machine of ACME Rockets', through its gate.
    Acme,
    /// A developer of theirs, through a gate of their own before that one.
    Developer,
    /// A machine on their island, to which nothing leads but what is carried there.
    Island,
}

impl Step {
    /// What came of it, by what an export or an import said.
    fn carried(self, all: &[upkeep::Pulled]) -> Played {
        let carried = all.iter().find(|pulled| pulled.reference == self.reference).cloned();
        let Self { title, reference, expected, .. } = self;
        Played { title, reference, expected, came: Came::Carried(carried), origin: Vec::new() }
    }
}

/// Plays all of it. `tell` is called after each step.
///
/// # Errors
/// The proxy is not there, or the key cannot be written.
pub async fn play(stage: &Stage, mut tell: impl FnMut(&Played) -> Result<(), Error>) -> Result<(), Error> {
    for step in scenes::before_the_key() {
        tell(&stage.play(step).await?)?;
    }
    if !stage.acquire_wabbit_key()? {
        return Err(Error::Reload);
    }
    for step in scenes::with_the_key() {
        tell(&stage.play(step).await?)?;
    }
    if !stage.revoke_charts_key()? {
        return Err(Error::Reload);
    }
    tell(&stage.play(scenes::after_the_theft()).await?)?;
    carry(stage, tell).await
}

/// What ACME's gate let in is carried to the island, and pulled there.
async fn carry(stage: &Stage, mut tell: impl FnMut(&Played) -> Result<(), Error>) -> Result<(), Error> {
    let exported = scenes::exported();
    let references = exported.iter().map(|step| step.reference.clone()).collect();
    let came = stage.island.export(&stage.proxy, references).await?;
    for step in exported {
        tell(&step.carried(&came))?;
    }
    stage.island.carry_across(&Package::image("hello-world"))?;
    let came = stage.island.import().await?;
    for step in scenes::taken_in() {
        tell(&step.carried(&came))?;
    }
    for step in scenes::on_the_island() {
        tell(&stage.play(step).await?)?;
    }
    Ok(())
}

impl Stage {
    async fn play(&self, step: Step) -> Result<Played, Error> {
        let reference = Reference::parse(&step.reference)?;
        let proxy = match step.by {
            By::Acme => &self.proxy,
            By::Developer => &self.developer.proxy,
            By::Island => &self.island.proxy,
        };
        let pulled = pull(&Client::new(), &proxy.url(), &reference).await?;
        let origin = match pulled {
            Pulled::Whole { .. } => origin(proxy, &reference).await,
            _ => Vec::new(),
        };
        let Step { title, reference, expected, .. } = step;
        Ok(Played { title, reference, expected, came: Came::Pulled(pulled), origin })
    }
}

/// The names that a believed signature holds: what `portcullis verify` shows as origin.
async fn origin(proxy: &Proxy, reference: &Reference) -> Vec<String> {
    let engine = proxy.engine();
    let Ok(decision) = engine.gate().decide(reference, &Principal::Anonymous).await else {
        return Vec::new();
    };
    decision.signatures().iter().flat_map(|signature| &signature.origin).map(ToString::to_string).collect()
}
