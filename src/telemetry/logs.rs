//! Logs of the process: structured lines on standard error, so that results stay alone on standard
//! output.

use std::io::IsTerminal as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("a log format is \"json\" or \"text\"".to_owned()),
        }
    }
}

/// The environment variable that chooses what is logged, in the syntax of `tracing`'s filters.
pub const FILTER_VARIABLE: &str = "PORTCULLIS_LOG";

/// Starts logging to standard error. A second call changes nothing.
pub fn init(format: Format) {
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    // Where standard error takes no line, since its terminal is gone, it takes none about that either.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let started = match format {
        Format::Text => {
            lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).compact().try_init()
        }
        Format::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
