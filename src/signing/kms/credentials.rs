//! Who asks AWS, where its own tools find it: the environment, then a profile of the shared files. Looked up for each
//! request, since both are renewed under way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::Error;
use super::sigv4::Credentials;
use crate::egress::Environment;
use crate::trust::files;

/// A longer file is none of AWS'.
const MAX_FILE: u64 = 1 << 20;

type Section = BTreeMap<String, Zeroizing<String>>;

/// The credentials: variables, else the profile.
pub(super) fn find(environment: Environment<'_>) -> Result<Credentials, Error> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    if let (Some(access_key), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        let token = set("AWS_SESSION_TOKEN").map(Zeroizing::new);
        return Ok(Credentials { access_key, secret_key: Zeroizing::new(secret), token });
    }
    let (name, mut section) = profile(environment)?;
    let mut take = |key: &str| section.remove(key).filter(|value| !value.is_empty());
    match (take("aws_access_key_id"), take("aws_secret_access_key")) {
        (Some(access_key), Some(secret_key)) => {
            let token = take("aws_session_token");
            Ok(Credentials { access_key: access_key.to_string(), secret_key, token })
        }
        _ => {
            let ways = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them into the profile";
            let others = "roles, single sign-on and an instance's own credentials are not asked for";
            Err(Error::Credentials(format!(
                "neither the environment nor the profile {name:?} has them: {ways}; {others}"
            )))
        }
    }
}

/// The region: variables, else the profile.
pub(super) fn region(environment: Environment<'_>) -> Result<Option<String>, Error> {
    let mut variables = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().filter_map(environment);
    if let Some(region) = variables.find(|value| !value.is_empty()) {
        return Ok(Some(region));
    }
    Ok(profile(environment)?.1.remove("region").map(|region| region.to_string()))
}

/// The profile's name, and what both files have about it; the file of credentials counts more.
fn profile(environment: Environment<'_>) -> Result<(String, Section), Error> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let name = set("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let place = |variable: &str, file: &str| {
        let home = || set("HOME").map(|home| PathBuf::from(home).join(".aws").join(file));
        set(variable).map(PathBuf::from).or_else(home)
    };
    let titles = [name.clone(), format!("profile {name}")];
    let mut found = Section::new();
    for (variable, file) in [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")] {
        if let Some(path) = place(variable, file) {
            let text = read(&path).map_err(|e| Error::Credentials(format!("{}: {e}", path.display())))?;
            found.extend(section(&text, &titles));
        }
    }
    Ok((name, found))
}

/// A file that may be absent.
fn read(path: &std::path::Path) -> std::io::Result<Zeroizing<String>> {
    let bytes = match files::read_within(path, MAX_FILE) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Zeroizing::default()),
        other => Zeroizing::new(other?.ok_or(std::io::ErrorKind::FileTooLarge)?),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| std::io::ErrorKind::InvalidData)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The settings under one of the titles; nested ones, which are indented, belong to others.
fn section(text: &str, titles: &[String]) -> Section {
    let mut found = Section::new();
    let mut inside = false;
    for line in text.lines().filter(|line| !line.starts_with(['#', ';', ' ', '\t'])) {
        if let Some(title) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = titles.iter().any(|wanted| wanted == title.trim());
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            found.insert(key.trim().to_ascii_lowercase(), Zeroizing::new(value.trim().to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "# comment\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=one\n\
        [ci]\naws_access_key_id = AKIA2\naws_secret_access_key = two=\naws_session_token = t\ns3 =\n  region = nested\n";

    /// A home with AWS' two files.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        let config =
            "[default]\nregion = eu-west-1\n[profile ci]\nregion = us-west-2\naws_access_key_id = other\n";
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        home
    }

    fn with<T>(variables: &[(&str, &str)], ask: impl Fn(Environment<'_>) -> T) -> T {
        ask(&|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    fn shown(found: Result<Credentials, Error>) -> (String, String, Option<String>) {
        let found = found.map_err(|e| e.to_string()).unwrap();
        (found.access_key, found.secret_key.to_string(), found.token.map(|t| t.to_string()))
    }

    #[test]
    fn the_environment_counts_before_the_profile() {
        let home = home();
        let place = ("HOME", home.path().to_str().unwrap());
        let own = |key: &str, secret: &str, token: Option<&str>| {
            (key.into(), secret.into(), token.map(str::to_owned))
        };
        let variables = [place, ("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "s")];
        assert_eq!(shown(with(&variables, find)), own("A", "s", None));
        assert_eq!(shown(with(&variables[..2], find)), own("AKIA1", "one", None));
        let profile = [place, ("AWS_PROFILE", "ci"), ("AWS_ACCESS_KEY_ID", "")];
        assert_eq!(shown(with(&profile, find)), own("AKIA2", "two=", Some("t")));
        let session = [&variables[..], &[("AWS_SESSION_TOKEN", "t")]].concat();
        assert_eq!(shown(with(&session, find)), own("A", "s", Some("t")));
    }

    #[test]
    fn the_region_is_the_variables_or_the_profiles() {
        let home = home();
        let place = ("HOME", home.path().to_str().unwrap());
        let region_of = |more: &[(&str, &str)]| with(&[&[place], more].concat(), region).unwrap();
        assert_eq!(region_of(&[]).as_deref(), Some("eu-west-1"));
        assert_eq!(region_of(&[("AWS_PROFILE", "ci")]).as_deref(), Some("us-west-2"));
        assert_eq!(region_of(&[("AWS_DEFAULT_REGION", "b"), ("AWS_REGION", "a")]).as_deref(), Some("a"));
        assert_eq!(region_of(&[("AWS_DEFAULT_REGION", "b"), ("AWS_REGION", "")]).as_deref(), Some("b"));
        assert_eq!(region_of(&[("AWS_PROFILE", "absent")]), None);
    }

    #[test]
    fn nobody_is_found_without_a_word_of_a_secret() {
        let home = home();
        let place = ("HOME", home.path().to_str().unwrap());
        let error = with(&[place, ("AWS_PROFILE", "absent"), ("AWS_SECRET_ACCESS_KEY", "s3cret")], find)
            .err()
            .unwrap();
        assert!(error.to_string().contains("\"absent\"") && !error.to_string().contains("s3cret"), "{error}");
        std::fs::remove_file(home.path().join(".aws/credentials")).unwrap();
        std::fs::create_dir(home.path().join(".aws/credentials")).unwrap();
        let error = with(&[place], find).err().unwrap().to_string();
        assert!(error.contains(".aws/credentials"), "{error}");
    }
}
