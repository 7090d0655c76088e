//! Reads sources: which files make up the crate, and which of its modules each of them names.

use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

use super::layers::{LAYERS, may_use};

/// A file of the crate.
pub struct Source {
    pub path: PathBuf,
    /// `["signature", "nv2"]`; empty for the root.
    pub module: Vec<String>,
    pub text: String,
}

/// All files that `src/lib.rs` reaches, modules for tests left out.
pub fn production_sources(root: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    reach(root.join("src/lib.rs"), Vec::new(), &mut sources);
    sources
}

fn reach(path: PathBuf, module: Vec<String>, sources: &mut Vec<Source>) {
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let folder = if module.is_empty() { path.with_file_name("") } else { path.with_extension("") };
    sources.push(Source { path, module: module.clone(), text });
    for item in &file.items {
        if let Item::Mod(declared) = item
            && declared.content.is_none()
            && !for_tests(&declared.attrs)
        {
            let name = declared.ident.to_string();
            let path = folder.join(format!("{name}.rs"));
            reach(path, [module.clone(), vec![name]].concat(), sources);
        }
    }
}

impl Source {
    /// A file of `module` that is nowhere.
    pub fn of(module: &str, text: &str) -> Self {
        Self {
            path: format!("src/{module}.rs").into(),
            module: vec![module.to_owned()],
            text: text.to_owned(),
        }
    }

    /// What it uses and may not.
    pub fn faults(&self) -> Vec<String> {
        let Some(own) = self.module.first() else { return Vec::new() };
        let row = LAYERS.iter().find(|row| row.module == own);
        let allowed = row.map(may_use).unwrap_or_default();
        let mut reader = Reader { module: self.module.clone(), named: Vec::new() };
        reader.visit_file(&syn::parse_file(&self.text).unwrap());
        let fault = |named: Named| match named {
            Named::Module(name) if name == *own || allowed.contains(&name.as_str()) => None,
            Named::Module(name) => Some(format!("{}: `{own}` may not use `{name}`", self.path.display())),
            Named::Hidden(how) => Some(format!("{}: {how}", self.path.display())),
        };
        let mut faults: Vec<_> = reader.named.into_iter().filter_map(fault).collect();
        faults.sort();
        faults.dedup();
        faults
    }
}

enum Named {
    /// A module below the root.
    Module(String),
    /// Something that would hide what is used.
    Hidden(&'static str),
}

struct Reader {
    module: Vec<String>,
    named: Vec<Named>,
}

impl Reader {
    /// Notes what a path names, seen from the current module.
    fn note(&mut self, path: &[String]) {
        let mut from = self.module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                from.clear();
                rest = &path[1..];
            }
            Some("super" | "self") => {
                while let Some("super" | "self") = rest.first().map(String::as_str) {
                    if rest[0] == "super" {
                        from.pop();
                    }
                    rest = &rest[1..];
                }
            }
            _ => return,
        }
        match (from.first(), rest.first().map(String::as_str)) {
            (Some(own), _) => self.named.push(Named::Module(own.clone())),
            (None, None | Some("*" | "self")) => {
                self.named.push(Named::Hidden("it takes the crate's root, which hides what is used"));
            }
            (None, Some(name)) => self.named.push(Named::Module(name.to_owned())),
        }
    }

    /// Paths in text that the compiler reads later: macros and attributes.
    fn note_text(&mut self, text: &str) {
        for path in paths_in(text) {
            self.note(&path);
        }
    }

    fn note_use(&mut self, before: &mut Vec<String>, tree: &UseTree) {
        let end = match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.note_use(before, &path.tree);
                before.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_use(before, tree);
                }
                return;
            }
            UseTree::Name(name) => name.ident.to_string(),
            UseTree::Rename(rename) => rename.ident.to_string(),
            UseTree::Glob(_) => "*".to_owned(),
        };
        before.push(end);
        self.note(before);
        before.pop();
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if for_tests(attributes(item)) {
            return;
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
            self.named.push(Named::Hidden("#[path] puts a file where the table does not see it"));
        }
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.note_use(&mut Vec::new(), &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            self.note(&path.segments.iter().map(|s| s.ident.to_string()).collect::<Vec<_>>());
        }
        visit::visit_path(self, path);
    }

    /// Saying who may look in is no use of them.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let for_tests = match item {
            syn::ImplItem::Fn(function) => for_tests(&function.attrs),
            _ => false,
        };
        if !for_tests {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.note_text(&call.tokens.to_string());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            syn::Meta::List(list) if !list.path.is_ident("doc") => self.note_text(&list.tokens.to_string()),
            _ => {}
        }
    }
}

/// `#[cfg(test)]`.
pub fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// The paths in a token stream's text that start at the root or above.
fn paths_in(text: &str) -> Vec<Vec<String>> {
    let joined =
        text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
    let mut paths = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in joined.match_indices(start) {
            let inside_a_path = joined[..at].ends_with("::");
            let inside_a_word = joined[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if !inside_a_path && !inside_a_word {
                paths.extend(path_at(&joined[at..]));
            }
        }
    }
    paths
}

/// One path, or one for each member of the group that it ends in.
fn path_at(text: &str) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        path.push(rest[..end].to_owned());
        match rest[end..].strip_prefix("::") {
            Some(next) if next.starts_with('{') => return members(&path, next),
            Some(next) if next.starts_with('*') => {
                path.push("*".to_owned());
                return vec![path];
            }
            Some(next) => rest = next,
            None => return vec![path],
        }
    }
}

fn members(path: &[String], group: &str) -> Vec<Vec<String>> {
    let mut depth = 0;
    let mut starts = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 1 && matches!(c, '{' | ',') {
            starts.push(group[at + 1..].trim_start());
        }
    }
    let first = |text: &&str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(text.len());
        [path, &[text[..end].to_owned()]].concat()
    };
    starts.iter().map(first).collect()
}
