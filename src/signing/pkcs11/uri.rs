//! PKCS #11 URIs (RFC 7512): which key in which token, and the module that reaches it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::Error;

const SCHEME: &str = "pkcs11:";

/// A longer name is none.
const MAX_LENGTH: usize = 4096;

/// Where systems keep modules, for `module-name`: `{arch}` is the processor's.
const FOLDERS: [&str; 8] = [
    "/usr/lib/{arch}-linux-gnu/pkcs11",
    "/usr/lib/{arch}-linux-gnu/softhsm",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
    "/usr/lib/softhsm",
    "/usr/local/lib/pkcs11",
    "/usr/lib/{arch}-linux-gnu",
    "/usr/lib",
];

/// A URI that names a private key, or the public half of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uri {
    /// `token`: the token's label.
    pub token: Option<String>,
    /// `manufacturer` of the token.
    pub manufacturer: Option<String>,
    /// `model` of the token.
    pub model: Option<String>,
    /// `serial` number of the token.
    pub serial: Option<String>,
    /// `slot-id`
    pub slot: Option<u64>,
    /// `object`: the key's label.
    pub object: Option<String>,
    /// `id` of the key.
    pub id: Option<Vec<u8>>,
    /// `pin-source`: the file with the PIN.
    pub pin_source: Option<PathBuf>,
    /// `module-path` or `module-name`: the shared library.
    pub module: Option<Module>,
}

/// How a module is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Module {
    /// `module-path`
    Path(PathBuf),
    /// `module-name`, without `lib` and `.so`.
    Name(String),
}

impl Uri {
    /// Reads a URI. What it does not know it refuses, since a name that is understood in part names another key.
    ///
    /// # Errors
    /// [`Error::Uri`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix(SCHEME).filter(|_| text.len() <= MAX_LENGTH);
        let rest = rest.ok_or_else(|| wrong(format!("no {SCHEME} of at most {MAX_LENGTH} bytes")))?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut path, mut query) = (attributes(path, ';')?, attributes(query, '&')?);
        if query.contains_key("pin-value") {
            let why =
                "everybody who may list processes reads it there: write it into a file that pin-source names";
            return Err(wrong(format!("a pin-value: {why}")));
        }
        let uri = Self {
            token: utf8(&mut path, "token")?,
            manufacturer: utf8(&mut path, "manufacturer")?,
            model: utf8(&mut path, "model")?,
            serial: utf8(&mut path, "serial")?,
            slot: utf8(&mut path, "slot-id")?.map(|text| slot(&text)).transpose()?,
            object: utf8(&mut path, "object")?,
            id: path.remove("id"),
            pin_source: utf8(&mut query, "pin-source")?.map(|text| file("pin-source", &text)).transpose()?,
            module: module(&mut query)?,
        };
        match utf8(&mut path, "type")?.as_deref() {
            None | Some("private" | "public" | "cert") => {}
            Some(_) => return Err(wrong("a type other than private, public and cert")),
        }
        match path.keys().chain(query.keys()).next() {
            None => Ok(uri),
            Some(unknown) => Err(wrong(format!("the attribute {unknown:?}, which is not understood here"))),
        }
    }

    /// The module's file.
    ///
    /// # Errors
    /// [`Error::Uri`]: none is named, or none of that name is where modules are kept.
    pub(super) fn module(&self) -> Result<PathBuf, Error> {
        match &self.module {
            Some(Module::Path(path)) => Ok(path.clone()),
            Some(Module::Name(name)) => {
                let folders = FOLDERS.map(|folder| folder.replace("{arch}", std::env::consts::ARCH));
                let files = folders.iter().flat_map(|folder| {
                    ["lib", ""].map(|before| Path::new(folder).join(format!("{before}{name}.so")))
                });
                let mut found = files.filter(|file| file.is_file());
                let missing =
                    || wrong(format!("no module {name:?} in {}: give its module-path", folders.join(", ")));
                found.next().ok_or_else(missing)
            }
            None => Err(wrong("no module: add ?module-path=/…/module.so")),
        }
    }
}

fn wrong(what: impl Into<String>) -> Error {
    Error::Uri(what.into())
}

/// `name=value` between separators, each name once (RFC 7512, section 2.3), values without their percent-encoding.
fn attributes(text: &str, separator: char) -> Result<BTreeMap<&str, Vec<u8>>, Error> {
    let mut all = BTreeMap::new();
    for part in text.split(separator).filter(|_| !text.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| wrong("an attribute without a value"))?;
        if !value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong(format!("a character in {name:?} that must be percent-encoded")));
        }
        // What decodes leniently, `%zz`, would name something else elsewhere.
        let escapes = value.split('%').skip(1);
        if !escapes.into_iter().all(|e| e.len() >= 2 && e.bytes().take(2).all(|b| b.is_ascii_hexdigit())) {
            return Err(wrong(format!("a broken percent-encoding in {name:?}")));
        }
        if all.insert(name, percent_decode_str(value).collect()).is_some() {
            return Err(wrong(format!("the attribute {name:?} twice")));
        }
    }
    Ok(all)
}

fn utf8(attributes: &mut BTreeMap<&str, Vec<u8>>, name: &str) -> Result<Option<String>, Error> {
    let value = attributes.remove(name).map(String::from_utf8).transpose();
    value.map_err(|_| wrong(format!("a {name} that is not UTF-8")))
}

fn slot(text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| wrong("a slot-id that is no number"))
}

fn module(query: &mut BTreeMap<&str, Vec<u8>>) -> Result<Option<Module>, Error> {
    match (utf8(query, "module-path")?, utf8(query, "module-name")?) {
        (None, None) => Ok(None),
        (Some(path), None) => {
            let path = file("module-path", &path)?;
            // Anything else is searched for in folders that the environment names.
            let is_file = path.is_absolute();
            let relative = || wrong("a module-path that is not absolute");
            is_file.then_some(Some(Module::Path(path))).ok_or_else(relative)
        }
        (None, Some(name)) if !name.is_empty() && !name.contains(['/', '\0']) => Ok(Some(Module::Name(name))),
        (None, Some(_)) => Err(wrong("a module-name that is no plain name")),
        (Some(_), Some(_)) => Err(wrong("both module-path and module-name")),
    }
}

/// A path, or a `file:` URI (RFC 7512, section 2.4). A command in its place is not run.
fn file(name: &str, text: &str) -> Result<PathBuf, Error> {
    let path = text.strip_prefix("file://").or_else(|| text.strip_prefix("file:")).unwrap_or(text);
    if path.is_empty() || path.starts_with('|') || path.contains('\0') {
        return Err(wrong(format!("a {name} that is no file")));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(uri: &str) -> String {
        Uri::parse(uri).unwrap_err().to_string()
    }

    #[test]
    fn attributes_are_read_without_their_encoding() {
        let uri = "pkcs11:model=M%201;manufacturer=Acme;serial=0a;token=The%20token;slot-id=7;object=a%3bb;id=%00%ff1;\
                   type=private?module-path=/usr/lib/m.so&pin-source=file:/run/pin";
        let expected = Uri {
            token: Some("The token".to_owned()),
            manufacturer: Some("Acme".to_owned()),
            model: Some("M 1".to_owned()),
            serial: Some("0a".to_owned()),
            slot: Some(7),
            object: Some("a;b".to_owned()),
            id: Some(vec![0, 0xff, b'1']),
            pin_source: Some("/run/pin".into()),
            module: Some(Module::Path("/usr/lib/m.so".into())),
        };
        assert_eq!(Uri::parse(uri).unwrap(), expected);
        assert_eq!(Uri::parse("pkcs11:").unwrap(), Uri::default());
        let named = Uri::parse("pkcs11:?module-name=softhsm2").unwrap();
        assert_eq!(named.module, Some(Module::Name("softhsm2".to_owned())));
    }

    #[test]
    fn a_pin_among_the_arguments_is_refused_and_not_repeated() {
        let error = refused("pkcs11:token=t?module-path=/m.so&pin-value=123456");
        assert!(error.contains("pin-source") && !error.contains("123456"), "{error}");
    }

    #[test]
    fn what_is_not_understood_whole_names_no_key() {
        for (uri, why) in [
            ("PKCS11:token=t", "no pkcs11:"),
            ("pkcs11:token=a;token=b", "\"token\" twice"),
            ("pkcs11:token=a;colour=b", "\"colour\""),
            ("pkcs11:token=a?max-sessions=1", "\"max-sessions\""),
            ("pkcs11:token", "without a value"),
            ("pkcs11:token=a;", "without a value"),
            ("pkcs11:token=%zz", "percent-encoding"),
            ("pkcs11:token=%f", "percent-encoding"),
            ("pkcs11:token=a b", "must be percent-encoded"),
            ("pkcs11:token=%ff", "not UTF-8"),
            ("pkcs11:slot-id=x", "no number"),
            ("pkcs11:type=data", "type other than"),
            ("pkcs11:?module-path=m.so", "not absolute"),
            ("pkcs11:?module-name=../m", "no plain name"),
            ("pkcs11:?module-path=/m.so&module-name=m", "both"),
            ("pkcs11:?pin-source=|cat", "no file"),
            ("pkcs11:?pin-source=", "no file"),
        ] {
            let error = refused(uri);
            assert!(error.contains(why), "{uri}: {error}");
        }
        assert!(refused(&format!("pkcs11:token={}", "a".repeat(MAX_LENGTH))).contains("4096"));
    }

    #[test]
    fn a_module_must_be_named() {
        let module = |uri: &str| Uri::parse(uri).unwrap().module();
        assert!(module("pkcs11:").unwrap_err().to_string().contains("module-path"));
        assert_eq!(module("pkcs11:?module-path=/m.so").unwrap(), Path::new("/m.so"));
        assert!(
            module("pkcs11:?module-name=nowhere-at-all").unwrap_err().to_string().contains("nowhere-at-all")
        );
    }
}
