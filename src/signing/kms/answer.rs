//! Credentials that are for a while, as those who give them write them down: in JSON the agents of containers and an
//! instance's metadata, in XML the Security Token Service. Faults are told without a word of what stands there.

use std::time::SystemTime;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::Credentials;
use crate::oci::json;
use crate::telemetry::Untrusted;

/// A longer value is none. AWS names no limit for a session's token, and asks to be ready for 4096 bytes.
const MAX_VALUE: usize = 16 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: Zeroed,
    secret_access_key: Zeroed,
    token: Zeroed,
    expiration: String,
}

/// Wiped from memory when it is done with.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Zeroed(Zeroizing<String>);

impl From<String> for Zeroed {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// What a container's agent or an instance's metadata gives.
///
/// # Errors
/// Where it is something else.
pub fn from_json(answer: &[u8]) -> Result<Credentials, String> {
    let read = json::check(answer).and_then(|()| serde_json::from_slice(answer));
    // What a reader says of a fault may quote what it read.
    let given: Given = read.map_err(|e| {
        format!("expected credentials in JSON, found others at line {} column {}", e.line(), e.column())
    })?;
    let [access_key, secret_key, token] =
        [given.access_key_id, given.secret_access_key, given.token].map(|Zeroed(text)| text);
    made(&access_key, secret_key, token, &given.expiration)
}

/// What the Security Token Service gives (`AssumeRole`, `AssumeRoleWithWebIdentity`, version 2011-06-15).
///
/// # Errors
/// Where it is something else.
pub fn from_xml(answer: &[u8]) -> Result<Credentials, String> {
    let text = std::str::from_utf8(answer).map_err(|_| "expected XML in UTF-8".to_owned())?;
    let given = element(text, "Credentials").ok_or("expected one <Credentials>")?;
    let value = |name: &str| element(given, name).ok_or_else(|| format!("expected one <{name}>"));
    let secret = |name: &str| value(name).map(|text| Zeroizing::new(text.to_owned()));
    made(value("AccessKeyId")?, secret("SecretAccessKey")?, secret("SessionToken")?, value("Expiration")?)
}

/// Code and message of the Security Token Service's refusal; empty where it has none.
pub fn refusal(answer: &[u8]) -> (Untrusted, Untrusted) {
    let text = std::str::from_utf8(answer).unwrap_or_default();
    let value = |name: &str| Untrusted::new(element(text, name).unwrap_or_default());
    (value("Code"), value("Message"))
}

fn made(
    access_key: &str,
    secret_key: Zeroizing<String>,
    token: Zeroizing<String>,
    expires: &str,
) -> Result<Credentials, String> {
    for (name, value) in [("key's id", access_key), ("key", &secret_key), ("session's token", &token)] {
        // They go into headers, and nothing else is in AWS' alphabets: in XML, what is escaped is refused by that too.
        let plain = value.bytes().all(|b| b.is_ascii_graphic() && !b"<>&".contains(&b));
        if value.is_empty() || value.len() > MAX_VALUE || !plain {
            return Err(format!("the {name} is empty, longer than {MAX_VALUE} bytes or no plain text"));
        }
    }
    let expires: SystemTime =
        humantime::parse_rfc3339(expires).map_err(|_| "expected a time (RFC 3339) as its end".to_owned())?;
    Ok(Credentials {
        access_key: access_key.to_owned(),
        secret_key,
        token: Some(token),
        expires: Some(expires),
    })
}

/// What is within the only element of that name, which has no attributes.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let open = format!("<{name}>");
    let (_, rest) = text.split_once(&open)?;
    let (within, after) = rest.split_once(&format!("</{name}>"))?;
    (!within.contains(&open) && !after.contains(&open)).then_some(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIA1","SecretAccessKey":"s3cret/+=",
        "Token":"t0ken==","Expiration":"2026-01-02T03:04:05Z"}"#;

    /// As in the reference of `AssumeRoleWithWebIdentity`.
    const XML: &str = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
        <AssumeRoleWithWebIdentityResult><Audience>client.5498841531868486423.1548@apps.example.com</Audience>
        <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/R/app1</Arn></AssumedRoleUser>
        <Credentials><SessionToken>t0ken==</SessionToken><SecretAccessKey>s3cret/+=</SecretAccessKey>
        <Expiration>2026-01-02T03:04:05Z</Expiration><AccessKeyId>ASIA1</AccessKeyId></Credentials>
        </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"#;

    #[test]
    fn both_ways_of_writing_are_read() {
        for read in [from_json(JSON.as_bytes()).unwrap(), from_xml(XML.as_bytes()).unwrap()] {
            assert_eq!((read.access_key.as_str(), read.secret_key.as_str()), ("ASIA1", "s3cret/+="));
            assert_eq!(read.token.as_ref().map(|token| token.as_str()), Some("t0ken=="));
            let ends = humantime::format_rfc3339(read.expires.unwrap()).to_string();
            assert_eq!(ends, "2026-01-02T03:04:05Z");
            assert!(!format!("{read:?}").contains("s3cret") && !format!("{read:?}").contains("t0ken"));
        }
    }

    #[test]
    fn anything_else_is_refused_without_a_word_of_it() {
        let swapped = |text: &str, from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        };
        for wrong in [
            swapped(JSON, "\"Token\"", "\"Other\""),
            swapped(JSON, "\"t0ken==\"", "[\"t0ken==\"]"),
            swapped(JSON, "{\"Code\"", "{\"Token\":\"t0ken\",\"Code\""),
            swapped(JSON, "t0ken==", "t0ken\\n"),
            swapped(JSON, "t0ken==", ""),
            swapped(JSON, "2026-01-02T03:04:05Z", "s3cret"),
            swapped(JSON, "t0ken==", &"t0ken".repeat(MAX_VALUE)),
            format!("{JSON}s3cret"),
        ] {
            let error = from_json(wrong.as_bytes()).unwrap_err();
            assert!(!error.contains("t0ken") && !error.contains("s3cret"), "{error}");
        }
        for wrong in [
            swapped(XML, "<Credentials>", "<Credentials><Credentials>"),
            swapped(XML, "</SessionToken>", "</SessionToken><SessionToken>other</SessionToken>"),
            swapped(XML, "SecretAccessKey>", "Secret>"),
            swapped(XML, "t0ken==", "t0ken&#61;"),
            swapped(XML, "</Credentials>", ""),
            swapped(XML, "03:04:05Z", ""),
        ] {
            let error = from_xml(wrong.as_bytes()).unwrap_err();
            assert!(!error.contains("t0ken") && !error.contains("s3cret"), "{error}");
        }
        assert!(from_xml(b"\xff").is_err());
    }

    #[test]
    fn a_refusal_has_its_code_and_is_safe_to_show() {
        let text = "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>no\x1b</Message></Error></ErrorResponse>";
        let (code, message) = refusal(text.as_bytes());
        assert_eq!(
            (code.to_string(), message.to_string()),
            ("ExpiredToken".to_owned(), "no\\u{1b}".to_owned())
        );
        assert_eq!(refusal(b"<html>").0.to_string(), "");
    }
}
