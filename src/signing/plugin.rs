//! Keys that a program signs with which speaks the Notary Project's signing-plug-in protocol, version 1.0
//! (`specs/plugin-extensibility.md`): one process a request, JSON in and out.

pub mod answer;
mod name;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

pub use name::Name;

use self::answer::{CONTRACT, Description, Made, Metadata, Signed, Spec};
use super::signing_key::wait;
use crate::telemetry::Untrusted;
use crate::x509::{Algorithm, Certificate, Encoding, PublicKey};

/// For what a plug-in knows by itself.
const ASKING: Duration = Duration::from_secs(30);

/// For a signature, which somebody may have to allow.
const SIGNING: Duration = Duration::from_secs(60);

/// What is signed to learn whose the key is. It is of no format, so its signature vouches for nothing.
const PROBE: &[u8] = b"portcullis asks which key signs this; it vouches for nothing";

/// Why a plug-in's key does not sign.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is none.
    #[error("expected plugin:NAME?id=KEY, found {0}")]
    Name(String),
    /// The program is absent, or not to be run.
    #[error("{} does not serve as a plug-in: {why}", path.display())]
    Program {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It says no.
    #[error("the plug-in refused: {meaning}{message}")]
    Refused {
        /// What its error code means.
        meaning: &'static str,
        /// What it says.
        message: Untrusted,
    },
    /// It does not know yet.
    #[error("the plug-in has no answer: {meaning}{message}")]
    Later {
        /// What its error code means.
        meaning: &'static str,
        /// What it says.
        message: Untrusted,
    },
    /// It says something else than the contract has.
    #[error("the plug-in answered with {0}")]
    Answer(String),
    /// The contract has no such signatures.
    #[error("plug-ins sign {} keys by {} alone, not by {}", spec.name, spec.algorithm.as_str(), asked.as_str())]
    Algorithm {
        /// The key.
        spec: Spec,
        /// What was asked for.
        asked: Algorithm,
    },
    /// The certificate is of another key than before.
    #[error("the plug-in signed with another key than before: was it replaced?")]
    Changed,
    /// The answer's certificate is not that of the key that signed.
    #[error("the plug-in's signature does not verify with its own certificate")]
    Foreign,
    /// It hangs.
    #[error("the plug-in has not answered within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The system fails.
    #[error("the plug-in cannot be asked: {0}")]
    Unasked(#[from] std::io::Error),
}

impl Error {
    /// Whether nobody answered, so that nothing is known of the key.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::Later { .. })
    }
}

/// A key that a plug-in has.
#[derive(Debug)]
pub struct Plugin {
    name: Name,
    program: PathBuf,
    spec: Spec,
    public: PublicKey,
    chain: Vec<Certificate>,
}

impl Plugin {
    /// Asks the plug-in for the key. Only a signature comes with its certificates, so that one is made over a text that
    /// vouches for nothing.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(name: &str) -> Result<Self, Error> {
        wait(Self::asked(Name::parse(name)?))
    }

    /// Has the plug-in describe the key, which it signs nothing for. Whose it is, that does not tell.
    ///
    /// # Errors
    /// [`Error`].
    pub fn describe(name: &str) -> Result<(), Error> {
        let name = Name::parse(name)?;
        wait(async move { described(&name).await.map(drop) })
    }

    async fn asked(name: Name) -> Result<Self, Error> {
        let (program, spec) = described(&name).await?;
        let Made { public, chain, .. } = signed(&name, &program, spec, PROBE).await?;
        Ok(Self { name, program, spec, public, chain })
    }

    /// The certificates, from the key's own to its authority.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// By what it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.spec.algorithm
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message: elliptic curves with both integers at full length.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        let wanted = match algorithm {
            Algorithm::Ecdsa(hash, _) => Algorithm::Ecdsa(hash, Encoding::Fixed),
            other => other,
        };
        if wanted != self.spec.algorithm {
            return Err(Error::Algorithm { spec: self.spec, asked: algorithm });
        }
        let made = signed(&self.name, &self.program, self.spec, message).await?;
        if made.public != self.public {
            return Err(Error::Changed);
        }
        Ok(made.signature)
    }
}

/// The program, and the kind of the key.
async fn described(name: &Name) -> Result<(PathBuf, Spec), Error> {
    let program = name.program()?;
    let request = json!({ "contractVersion": CONTRACT, "pluginConfig": name.config });
    let metadata: Metadata = call(&program, "get-plugin-metadata", &request, ASKING).await?;
    metadata.check(&name.plugin)?;
    let request = json!({ "contractVersion": CONTRACT, "keyId": name.id, "pluginConfig": name.config });
    let description: Description = call(&program, "describe-key", &request, ASKING).await?;
    let spec = description.spec(&name.id)?;
    Ok((program, spec))
}

/// A signature that its own certificate verifies.
async fn signed(name: &Name, program: &Path, spec: Spec, message: &[u8]) -> Result<Made, Error> {
    let request = json!({
        "contractVersion": CONTRACT,
        "keyId": name.id,
        "pluginConfig": name.config,
        "keySpec": spec.name,
        "hashAlgorithm": spec.hash,
        "payload": STANDARD.encode(message),
    });
    let signed: Signed = call(program, "generate-signature", &request, SIGNING).await?;
    let made = signed.made(&name.id, spec)?;
    made.public.verify(spec.algorithm, message, &made.signature).map_err(|_| Error::Foreign)?;
    Ok(made)
}

async fn call<T: DeserializeOwned>(
    program: &Path,
    command: &str,
    request: &impl Serialize,
    limit: Duration,
) -> Result<T, Error> {
    let request = serde_json::to_vec(request).map_err(std::io::Error::from)?;
    answer::read(&process::call(program, command, &request, limit).await?)
}

#[cfg(test)]
mod tests;
