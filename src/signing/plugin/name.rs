//! How a plug-in's key is named: `plugin:NAME?id=KEY&config.REGION=here`, values percent-encoded. NAME is a plug-in that
//! is installed for notation, or the absolute path of a program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::Error;

const SCHEME: &str = "plugin:";

/// What a plug-in's settings are told apart by.
const CONFIG: &str = "config.";

/// How plug-ins' files are called (plugin-extensibility, "Package and release a plugin").
const PREFIX: &str = "notation-";

/// A longer name is none.
const MAX_LENGTH: usize = 8192;

/// A key that a plug-in has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The plug-in's own name.
    pub plugin: String,
    /// Its program; without one it is where notation installs it.
    pub program: Option<PathBuf>,
    /// The key's id, which the plug-in understands.
    pub id: String,
    /// `pluginConfig`: settings that it understands. None of them is a secret: they stand among arguments.
    pub config: BTreeMap<String, String>,
}

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Name(what.to_owned());
        let rest = text.strip_prefix(SCHEME).filter(|_| text.len() <= MAX_LENGTH);
        let rest = rest.ok_or_else(|| Error::Name(format!("no {SCHEME} of at most {MAX_LENGTH} bytes")))?;
        let (plugin, query) = rest.split_once('?').ok_or_else(|| wrong("no ?id="))?;
        let program = plugin.starts_with('/').then(|| PathBuf::from(plugin));
        let plugin = match &program {
            Some(path) => path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix(PREFIX)),
            None => Some(plugin),
        };
        let plugin = plugin.filter(|name| is_plain(name)).ok_or_else(|| wrong("no plug-in's name"))?;
        let (mut id, mut config) = (None, BTreeMap::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            let before = match name.strip_prefix(CONFIG) {
                Some(name) if !name.is_empty() => config.insert(name.to_owned(), value),
                _ if name == "id" => id.replace(value),
                _ => return Err(Error::Name(format!("{name:?}, which is neither id nor {CONFIG}…"))),
            };
            if before.is_some() {
                return Err(Error::Name(format!("{name:?} twice")));
            }
        }
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| wrong("no id"))?;
        Ok(Self { plugin: plugin.to_owned(), program, id, config })
    }

    /// The program: in notation's folder (plugin-extensibility, "Plugin installation path") unless it is named itself.
    ///
    /// # Errors
    /// [`Error::Program`]: no regular file that may be executed. Links are not followed, as the specification asks.
    pub(super) fn program(&self) -> Result<PathBuf, Error> {
        let path = match &self.program {
            Some(path) => path.clone(),
            None => folder(|name| std::env::var_os(name))
                .ok_or_else(|| Error::Name("no folder of plug-ins: HOME is not set".to_owned()))?
                .join(&self.plugin)
                .join(format!("{PREFIX}{}", self.plugin)),
        };
        use std::os::unix::fs::PermissionsExt as _;
        let why = match std::fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => "expected a regular file, found a link or a folder".to_owned(),
            Ok(found) if found.permissions().mode() & 0o111 == 0 => "it may not be executed".to_owned(),
            Ok(_) => return Ok(path),
            Err(error) => error.to_string(),
        };
        Err(Error::Program { path, why })
    }
}

fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let settings = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(settings.join("notation/plugins"))
}

fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_plugin_a_key_and_its_settings() {
        let name =
            Name::parse("plugin:com.example.kms?id=arn:a%2Fb%26c&config.region=eu&config.key%202=v%202")
                .unwrap();
        assert_eq!((name.plugin.as_str(), name.id.as_str()), ("com.example.kms", "arn:a/b&c"));
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(name.config, BTreeMap::from([pair("region", "eu"), pair("key 2", "v 2")]));
        let path = Name::parse("plugin:/opt/notation-x?id=k").unwrap();
        assert_eq!((path.plugin.as_str(), path.program.unwrap()), ("x", "/opt/notation-x".into()));
    }

    #[test]
    fn what_is_not_understood_whole_names_no_key() {
        for (name, why) in [
            ("plugin:x", "no ?id="),
            ("plugin:x?", "no id"),
            ("plugin:x?id=", "no id"),
            ("plugin:?id=a", "no plug-in's name"),
            ("plugin:../x?id=a", "no plug-in's name"),
            ("plugin:/opt/x?id=a", "no plug-in's name"),
            ("plugin:/opt/notation-?id=a", "no plug-in's name"),
            ("plugin:.x?id=a", "no plug-in's name"),
            ("plugin:x?id=a&id=b", "\"id\" twice"),
            ("plugin:x?id=a&config.a=1&config.a=2", "twice"),
            ("plugin:x?id=a&region=eu", "neither id nor config."),
            ("plugin:x?id=a&config.=eu", "neither id nor config."),
        ] {
            let error = Name::parse(name).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
    }

    #[test]
    fn plugins_are_where_notation_installs_them() {
        let of = |xdg: &'static str| {
            folder(move |name| match name {
                "XDG_CONFIG_HOME" => Some(xdg.into()),
                _ => Some("/home".into()),
            })
        };
        assert_eq!(of("/xdg").unwrap(), PathBuf::from("/xdg/notation/plugins"));
        assert_eq!(of("").unwrap(), PathBuf::from("/home/.config/notation/plugins"));
        assert_eq!(folder(|_| None), None);
    }

    #[test]
    fn only_a_file_that_may_be_executed_is_a_program() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |file: &str| {
            let path = folder.path().join(file);
            Name::parse(&format!("plugin:{}?id=a", path.display())).unwrap().program()
        };
        let program = folder.path().join("notation-x");
        assert!(at("notation-x").unwrap_err().to_string().contains("No such file"));
        std::fs::write(&program, "").unwrap();
        assert!(at("notation-x").unwrap_err().to_string().contains("may not be executed"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(at("notation-x").unwrap(), program);
        symlink(&program, folder.path().join("notation-y")).unwrap();
        assert!(at("notation-y").unwrap_err().to_string().contains("found a link"));
    }
}
