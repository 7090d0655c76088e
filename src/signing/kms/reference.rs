//! How a key of AWS KMS is named, as cosign does: `awskms://[ENDPOINT]/KEY`, KEY being an id, an alias or an ARN.

use url::Url;

use super::Error;
use super::service::is_bare;

const SCHEME: &str = "awskms://";

/// A longer name is none.
const MAX_LENGTH: usize = 2048;

/// The name of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The service to ask, where it is not the region's own.
    pub endpoint: Option<Url>,
    /// `KeyId`: as KMS reads it.
    pub key: String,
}

impl Reference {
    /// Reads a name.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix(SCHEME).filter(|_| text.len() <= MAX_LENGTH);
        let (endpoint, key) = rest.and_then(|rest| rest.split_once('/')).ok_or(Error::Name)?;
        let is_key = match arn(key) {
            Some((_, resource)) => resource.strip_prefix("key/").map_or_else(|| is_alias(resource), is_id),
            None => is_id(key) || is_alias(key),
        };
        let endpoint = match endpoint {
            "" => None,
            host => Some(service(host).ok_or(Error::Name)?),
        };
        if is_key { Ok(Self { endpoint, key: key.to_owned() }) } else { Err(Error::Name) }
    }

    /// The region that an ARN has: a key is in no other.
    pub(super) fn region(&self) -> Option<&str> {
        arn(&self.key).map(|(region, _)| region)
    }
}

/// Region and resource of `arn:PARTITION:kms:REGION:ACCOUNT:RESOURCE`.
fn arn(key: &str) -> Option<(&str, &str)> {
    match key.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", _, "kms", region, _, resource] if is_region(region) => Some((region, resource)),
        _ => None,
    }
}

/// Whether it may stand in a host's name.
pub(super) fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_alias(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_-".contains(&b);
    text.strip_prefix("alias/").is_some_and(|name| !name.is_empty() && name.bytes().all(plain))
}

/// Host and port alone: KMS is at the root, and over TLS.
fn service(host: &str) -> Option<Url> {
    let url = Url::parse(&format!("https://{host}/")).ok()?;
    is_bare(&url).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_cosigns_names_is_read() {
        const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
        for key in [
            ID.to_owned(),
            "mrk-1234abcd12ab34cd56ef1234567890ab".to_owned(),
            "alias/Example_key/1".to_owned(),
            format!("arn:aws:kms:us-east-2:111122223333:key/{ID}"),
            "arn:aws-cn:kms:cn-north-1:111122223333:alias/a".to_owned(),
        ] {
            let read = Reference::parse(&format!("awskms:///{key}")).unwrap();
            assert_eq!((read.endpoint, read.key), (None, key));
        }
        let there = Reference::parse("awskms://kms.corp:8443/alias/a").unwrap();
        assert_eq!(
            (there.endpoint.unwrap().as_str(), there.key.as_str()),
            ("https://kms.corp:8443/", "alias/a")
        );
    }

    #[test]
    fn an_arn_says_where_its_key_is() {
        let region = |name: &str| Reference::parse(name).unwrap().region().map(str::to_owned);
        assert_eq!(region("awskms:///arn:aws:kms:eu-west-1:1:key/a").as_deref(), Some("eu-west-1"));
        assert_eq!(region("awskms:///alias/a"), None);
    }

    #[test]
    fn anything_else_is_refused() {
        for name in [
            "awskms://alias/a?b",
            "awskms://",
            "awskms:///",
            "awskms:///alias/",
            "awskms:///a b",
            "awskms:///arn:aws:s3:eu-west-1:1:key/a",
            "awskms:///arn:aws:kms:EU:1:key/a",
            "awskms:///arn:aws:kms:eu.evil/:1:key/a",
            "awskms:///arn:aws:kms:eu:1:secret/a",
            "awskms://user@kms.corp/alias/a",
            "awskms://:s3cret@kms.corp/alias/a",
            "awskms://kms.corp#a/alias/a",
            "awskms://kms.corp?a/alias/a",
        ] {
            assert!(matches!(Reference::parse(name), Err(Error::Name)), "{name}");
        }
    }
}
