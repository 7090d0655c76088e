//! The credentials of a container, which an agent beside it gives: ECS, EKS Pod Identity ("Container credential provider"
//! of the SDKs' reference guide).

use std::path::PathBuf;

use url::Url;
use zeroize::Zeroizing;

use super::super::sigv4::secret_value;
use super::super::{Credentials, Error, answer, service};
use super::fetch::Why;
use super::{Variables, fetch};
use crate::egress::{Client, Environment, Request};
use crate::trust::files;

/// Where ECS' agent is.
const ECS: &str = "http://169.254.170.2";

/// How a container's agent is asked.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) url: Url,
    /// What tells it who asks.
    token: Option<Token>,
}

#[derive(Clone, PartialEq, Eq)]
enum Token {
    /// Read anew each time: it is renewed.
    In(PathBuf),
    Is(Zeroizing<String>),
}

impl Container {
    /// As the variables have it that ECS and EKS set.
    pub(super) fn find(environment: Environment<'_>) -> Result<Option<Self>, Error> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let wrong =
            |variable: &str, expected: &str| Error::Credentials(format!("expected {expected} in {variable}"));
        let url = if let Some(path) = set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            let path = Some(path).filter(|path| path.starts_with('/'));
            let url = path.and_then(|path| Url::parse(&format!("{ECS}{path}")).ok());
            url.ok_or_else(|| wrong("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "a path from /"))?
        } else if let Some(text) = set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            let url = Url::parse(&text).ok().filter(service::is_anonymous);
            url.ok_or_else(|| wrong("AWS_CONTAINER_CREDENTIALS_FULL_URI", "a URL without a user"))?
        } else {
            return Ok(None);
        };
        let file = set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|path| Token::In(path.into()));
        let is = || set("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(|text| Token::Is(Zeroizing::new(text)));
        Ok(Some(Self { url, token: file.or_else(is) }))
    }

    pub(super) async fn fetch(&self, environment: &Variables) -> Result<Credentials, Why> {
        let client = self.client(environment)?;
        let token = match &self.token {
            Some(Token::In(path)) => Some(files::secret(path).map_err(|e| e.to_string())?),
            Some(Token::Is(token)) => Some(token.clone()),
            None => None,
        };
        let token = token.map(|token| secret_value(&token)).transpose();
        let token = token.map_err(|_| "the authorization token is not one line of plain text".to_owned())?;
        let request = Request::get(self.url.clone()).accept("application/json").credential(token);
        Ok(answer::from_json(&fetch::given(&client, &request, "credentials").await?)?)
    }

    /// Over plain HTTP nobody is asked who is further than beside this container.
    fn client(&self, environment: &Variables) -> Result<Client, String> {
        if self.url.scheme() == "https" {
            return service::client(&self.url, &**environment).map_err(|e| e.to_string());
        }
        fetch::near(&self.url).map_err(|e| format!("{e}: others are asked by https alone"))
    }
}
