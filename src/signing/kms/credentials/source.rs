//! Who gives credentials, in the order in which AWS' own tools look: the environment, the token of a web identity, a
//! profile of the shared files, the container's agent, the instance.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;

use url::Url;
use zeroize::Zeroizing;

use super::super::{Credentials, Error};
use super::container::Container;
use super::fetch::Why;
use super::profile::Profiles;
use super::role::Role;
use super::{Ungiven, Variables, instance};
use crate::egress::Environment;

/// Who gives credentials.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// They stand there.
    Keys(Credentials),
    /// The Security Token Service, to who has others.
    Assumed(Role, Box<Source>),
    /// The Security Token Service, for the token in that file.
    Identified(Role, PathBuf),
    /// The container's agent.
    Container(Container),
    /// The instance's metadata service at that address.
    Instance(Url),
}

impl Source {
    /// The first that there is. Whether it gives any is not asked.
    pub(super) fn find(environment: Environment<'_>) -> Result<Self, Error> {
        if let Some(keys) = Self::keys(environment)? {
            return Ok(keys);
        }
        if let Some(identified) = Self::identified(environment)? {
            return Ok(identified);
        }
        let (name, profiles) = Profiles::read(environment)?;
        if let Some(source) = profiles.source(&name, environment)? {
            return Ok(source);
        }
        if let Some(container) = Container::find(environment)? {
            return Ok(Self::Container(container));
        }
        instance::find(environment)?.map(Self::Instance).ok_or_else(|| {
            let ways = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them into the profile";
            Error::Credentials(format!(
                "neither the environment nor the profile {name:?} has them, no role is given, and AWS_EC2_METADATA_DISABLED \
                 forbids to ask the instance: {ways}"
            ))
        })
    }

    /// Those of the environment.
    pub(super) fn keys(environment: Environment<'_>) -> Result<Option<Self>, Error> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let both = pair("the environment", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], set)?;
        Ok(both.map(|[access_key, secret]| {
            let token = set("AWS_SESSION_TOKEN").map(Zeroizing::new);
            Self::Keys(Credentials { access_key, secret_key: Zeroizing::new(secret), token, expires: None })
        }))
    }

    /// As EKS sets it for a service account.
    fn identified(environment: Environment<'_>) -> Result<Option<Self>, Error> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let both = pair("the environment", ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"], set)?;
        Ok(both.map(|[arn, token]| {
            let role = Role { arn, session: set("AWS_ROLE_SESSION_NAME"), external_id: None, duration: None };
            Self::Identified(role, token.into())
        }))
    }

    /// Asks for them. A role may be taken on by one that was taken on itself.
    pub(super) fn fetch<'a>(
        &'a self,
        environment: &'a Variables,
        region: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Credentials, Ungiven>> + Send + 'a>> {
        Box::pin(async move {
            let given = match self {
                Self::Keys(keys) => Ok(keys.clone()),
                Self::Assumed(role, from) => {
                    let by = from.fetch(environment, region).await?;
                    role.assumed(&by, environment, region).await
                }
                Self::Identified(role, token) => role.identified(token, environment, region).await,
                Self::Container(container) => container.fetch(environment).await,
                Self::Instance(endpoint) => instance::fetch(endpoint).await,
            };
            given.map_err(|Why { text, unanswered }| Ungiven { by: self.to_string(), why: text, unanswered })
        })
    }
}

/// Two settings that say something together alone: who has set one means to be known by it, and not by what comes next.
pub(super) fn pair(
    place: &str,
    names: [&str; 2],
    set: impl Fn(&str) -> Option<String>,
) -> Result<Option<[String; 2]>, Error> {
    let [first, second] = names;
    let half = |has: &str, lacks: &str| {
        Err(Error::Credentials(format!("{place} has {has} without {lacks}: set both, or neither")))
    };
    match (set(first), set(second)) {
        (Some(one), Some(other)) => Ok(Some([one, other])),
        (None, None) => Ok(None),
        (Some(_), None) => half(first, second),
        (None, Some(_)) => half(second, first),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(_) => f.write_str("the environment or the profile"),
            Self::Assumed(role, _) => write!(f, "STS (AssumeRole) for {}", role.arn),
            Self::Identified(role, _) => write!(f, "STS (AssumeRoleWithWebIdentity) for {}", role.arn),
            Self::Container(container) => {
                write!(f, "the container's agent at {}", container.url.origin().ascii_serialization())
            }
            Self::Instance(endpoint) => write!(
                f,
                "the instance's metadata service at {endpoint}, since neither the environment nor the profile has any"
            ),
        }
    }
}
