//! Who has the store: a running server, or nobody.

mod server;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::config::Settings;
use crate::engine::upkeep::{self, Order, Progress, Stats};
use crate::engine::{Engine, OpenError, State, Unmatched, jobs};
use crate::store;
use server::Server;

/// Where the work is done.
pub(in crate::cli) enum Place {
    /// Here.
    Own(Arc<State>, Arc<Engine>),
    /// In the process that has the store.
    Server(Server),
}

impl Place {
    /// Opens the store of the settings, or finds the server that has it open.
    pub(in crate::cli) async fn find(settings: Settings) -> anyhow::Result<Self> {
        match State::open(&settings, Clock::system(), Unmatched::Refused).await {
            Ok(state) => {
                let engine = Engine::build(settings, &state, None)?;
                Ok(Self::Own(state, Arc::new(engine)))
            }
            Err(OpenError::Store(store::OpenError::Locked { path, holder, opening })) => {
                let Some(opening) = opening else {
                    anyhow::bail!(
                        "the store {} is in use by a process{holder} that does not say by what to know it: it is \
                         starting, or of another version; try again, or stop it",
                        path.display()
                    );
                };
                Ok(Self::Server(Server { address: settings.admin.address, opening }))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn stats(&self) -> anyhow::Result<Stats> {
        match self {
            Self::Own(state, _) => Ok(state.stats().await?),
            Self::Server(server) => server.stats().await,
        }
    }

    /// Has the work done; `on` is told of each step, and ends it by an error.
    pub(in crate::cli) async fn run(
        &self,
        order: Order,
        mut on: impl FnMut(Progress) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Own(state, engine) => {
                let (tell, mut steps) = mpsc::channel(64);
                let (state, engine) = (Arc::clone(state), Arc::clone(engine));
                tokio::spawn(async move {
                    tokio::select! {
                        () = upkeep::run(order, &state, &engine, &tell) => {}
                        // Nobody else gives up what was used longest ago when there is no room for more.
                        () = jobs::retiring(&state) => {}
                    }
                });
                while let Some(step) = steps.recv().await {
                    if is_last(&step)? {
                        return Ok(());
                    }
                    on(step)?;
                }
            }
            Self::Server(server) => {
                let mut lines = server.begin(order).await?;
                while let Some(line) = lines.next().await? {
                    let step = serde_json::from_slice(&line).context("an answer of the server")?;
                    if is_last(&step)? {
                        return Ok(());
                    }
                    on(step)?;
                }
            }
        }
        anyhow::bail!("it broke off before its end")
    }

    /// Writes what is only in memory.
    pub(in crate::cli) async fn close(self) {
        if let Self::Own(state, engine) = self {
            drop(engine);
            state.close().await;
        }
    }
}

fn is_last(step: &Progress) -> anyhow::Result<bool> {
    match step {
        Progress::Done => Ok(true),
        Progress::Failed { message } => anyhow::bail!("{message}"),
        _ => Ok(false),
    }
}
