use super::*;

const CREDENTIALS: &str = "# comment\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=one\n\
    [ci]\naws_access_key_id = AKIA2\naws_secret_access_key = two=\naws_session_token = t\ns3 =\n  region = nested\n";

const CONFIG: &str = "[default]\nregion = eu-west-1\n[profile ci]\nregion = us-west-2\naws_access_key_id = other\n\
    [profile signer]\nrole_arn = arn:1\nsource_profile = deputy\nexternal_id = e\n\
    [profile deputy]\nrole_arn = arn:2\nsource_profile = default\nrole_session_name = named\n\
    [profile self]\nrole_arn = arn:3\nsource_profile = self\naws_access_key_id = A\naws_secret_access_key = s\n\
    [profile a]\nrole_arn = arn:a\nsource_profile = b\n[profile b]\nrole_arn = arn:b\nsource_profile = a\n\
    [profile web]\nrole_arn = arn:4\nweb_identity_token_file = /run/token\n\
    [profile machine]\nrole_arn = arn:5\ncredential_source = Ec2InstanceMetadata\n\
    [profile both]\nrole_arn = arn:6\ncredential_source = Environment\nsource_profile = ci\n\
    [profile code]\nrole_arn = arn:7\nsource_profile = ci\nmfa_serial = 1\n[profile on]\nsso_session = s\n";

/// A home with AWS' two files.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    std::fs::write(home.path().join(".aws/credentials"), CREDENTIALS).unwrap();
    std::fs::write(home.path().join(".aws/config"), CONFIG).unwrap();
    home
}

/// An environment that has AWS' files in `home`, keeps away from this machine's own metadata, and has `more`.
fn with<T>(home: &Path, more: &[(&str, &str)], ask: impl Fn(Environment<'_>) -> T) -> T {
    ask(&|name| match more.iter().find(|(n, _)| *n == name) {
        Some((_, value)) => Some((*value).to_owned()),
        None if name == "HOME" => Some(home.display().to_string()),
        None if name == "AWS_EC2_METADATA_DISABLED" => Some("true".to_owned()),
        None => None,
    })
}

/// Who gives what, told by the ARNs of the roles and the keys in the end.
fn shown(source: &Source) -> String {
    match source {
        Source::Keys(keys) => {
            let token = keys.token.as_ref().map_or("", |token| token.as_str());
            format!("{} {} {token}", keys.access_key, keys.secret_key.as_str())
        }
        Source::Assumed(role, from) => format!("{} by {}", role.arn, shown(from)),
        Source::Identified(role, token) => format!("{} for {}", role.arn, token.display()),
        Source::Container(container) => container.url.to_string(),
        Source::Instance(url) => url.to_string(),
    }
}

fn found(home: &Path, more: &[(&str, &str)]) -> Result<String, String> {
    with(home, more, Source::find).map(|source| shown(&source)).map_err(|e| e.to_string())
}

#[test]
fn the_environment_counts_before_a_web_identity_and_that_before_the_profile() {
    let home = home();
    let found = |more: &[(&str, &str)]| found(home.path(), more).unwrap();
    let keys = [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let web = [("AWS_ROLE_ARN", "arn"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")];
    assert_eq!(found(&[keys, web].concat()), "A s ");
    assert_eq!(found(&[&keys[..], &[("AWS_SESSION_TOKEN", "t")]].concat()), "A s t");
    assert_eq!(found(&web), "arn for /t");
    assert_eq!(found(&[("AWS_PROFILE", "ci"), ("AWS_ACCESS_KEY_ID", "")]), "AKIA2 two= t");
}

#[test]
fn a_profile_names_its_role_and_who_takes_it_on() {
    let home = home();
    let of = |profile: &str| found(home.path(), &[("AWS_PROFILE", profile)]);
    assert_eq!(of("signer").unwrap(), "arn:1 by arn:2 by AKIA1 one ");
    assert_eq!(of("self").unwrap(), "arn:3 by A s ");
    assert_eq!(of("web").unwrap(), "arn:4 for /run/token");
    let here = [("AWS_PROFILE", "machine"), ("AWS_EC2_METADATA_DISABLED", "")];
    assert_eq!(found(home.path(), &here).unwrap(), "arn:5 by http://169.254.169.254/");
    for (profile, why) in [
        ("a", "nothing that gives credentials"),
        ("machine", "nothing that gives credentials"),
        ("both", "without one of source_profile"),
        ("code", "mfa_serial"),
        ("on", "sso_session, which nobody is asked for here"),
    ] {
        let error = of(profile).unwrap_err();
        // In a circle, it is another profile's role that nobody takes on.
        let named = if profile == "a" { "b" } else { profile };
        assert!(error.contains(why) && error.contains(&format!("{named:?}")), "{error}");
    }
}

#[test]
fn the_container_is_asked_before_the_instance_and_both_after_the_profile() {
    let home = home();
    let none = ("HOME", "");
    let found = |more: &[(&str, &str)]| found(home.path(), more);
    let container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/c?id=1");
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[fd00:ec2::23]/v1/credentials");
    let asked = ("AWS_EC2_METADATA_DISABLED", "false");
    assert_eq!(found(&[container]).unwrap(), "AKIA1 one ");
    assert_eq!(found(&[none, asked, container, full]).unwrap(), "http://169.254.170.2/v2/c?id=1");
    assert_eq!(found(&[none, asked, full]).unwrap(), full.1);
    assert_eq!(found(&[none, asked]).unwrap(), "http://169.254.169.254/");
    let ipv6 = ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
    assert_eq!(found(&[none, asked, ipv6]).unwrap(), "http://[fd00:ec2::254]/");
    let error = found(&[none]).unwrap_err();
    assert!(error.contains("\"default\"") && error.contains("AWS_EC2_METADATA_DISABLED"), "{error}");
    for wrong in [
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example/"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://user:s3cret@127.0.0.1/"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://:s3cret@127.0.0.1/"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://user:s3cret@127.0.0.1/"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://:s3cret@127.0.0.1/"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1/?s3cret"),
    ] {
        let error = found(&[none, asked, wrong]).unwrap_err();
        assert!(error.contains(wrong.0) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn the_region_is_the_variables_or_the_profiles() {
    let home = home();
    let region_of = |more: &[(&str, &str)]| with(home.path(), more, region).unwrap();
    assert_eq!(region_of(&[]).as_deref(), Some("eu-west-1"));
    assert_eq!(region_of(&[("AWS_PROFILE", "ci")]).as_deref(), Some("us-west-2"));
    assert_eq!(region_of(&[("AWS_DEFAULT_REGION", "b"), ("AWS_REGION", "a")]).as_deref(), Some("a"));
    assert_eq!(region_of(&[("AWS_DEFAULT_REGION", "b"), ("AWS_REGION", "")]).as_deref(), Some("b"));
    assert_eq!(region_of(&[("HOME", "")]), None);
}

#[test]
fn what_is_set_by_half_is_an_error_and_not_passed_over() {
    let home = home();
    let text = "[half]\naws_secret_access_key = s3cret\n";
    std::fs::write(home.path().join("half"), text).unwrap();
    let half = home.path().join("half").display().to_string();
    for (set, why) in [
        (&[("AWS_PROFILE", "absent")][..], "no profile \"absent\", which AWS_PROFILE names"),
        (
            &[("AWS_ACCESS_KEY_ID", "A")],
            "the environment has AWS_ACCESS_KEY_ID without AWS_SECRET_ACCESS_KEY",
        ),
        (&[("AWS_SECRET_ACCESS_KEY", "s3cret")], "AWS_SECRET_ACCESS_KEY without AWS_ACCESS_KEY_ID"),
        (&[("AWS_ROLE_ARN", "arn")], "AWS_ROLE_ARN without AWS_WEB_IDENTITY_TOKEN_FILE"),
        (&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")], "AWS_WEB_IDENTITY_TOKEN_FILE without AWS_ROLE_ARN"),
        (
            &[("AWS_PROFILE", "half"), ("AWS_SHARED_CREDENTIALS_FILE", &half)],
            "the profile \"half\" has aws_secret_access_key without aws_access_key_id",
        ),
    ] {
        let error = found(home.path(), set).unwrap_err();
        assert!(error.contains(why) && !error.contains("s3cret"), "{error}");
    }
    let region = with(home.path(), &[("AWS_PROFILE", "absent")], region);
    assert!(region.unwrap_err().to_string().contains("no profile \"absent\""));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let home = home();
    std::fs::remove_file(home.path().join(".aws/credentials")).unwrap();
    std::fs::create_dir(home.path().join(".aws/credentials")).unwrap();
    let error = found(home.path(), &[]).unwrap_err();
    assert!(error.contains(".aws/credentials"), "{error}");
}
