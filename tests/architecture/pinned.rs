//! Writes down what a file declares: items, derives, visibilities, fields and signatures, without
//! bodies. A pinned file cannot grow a way in unnoticed.

use super::source::for_tests;
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, TraitItem};

/// One line a declaration, in the order of the file; modules for tests left out.
pub fn declarations(text: &str) -> Vec<String> {
    syn::parse_file(text).unwrap().items.iter().flat_map(declaration).collect()
}

fn declaration(item: &Item) -> Vec<String> {
    match item {
        Item::Use(_) => Vec::new(),
        Item::Mod(item) if for_tests(&item.attrs) => Vec::new(),
        Item::Struct(item) => {
            let fields = item.fields.iter().map(|field| {
                let name = field.ident.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
                format!("{} {name}{}", words(&field.vis), words(&field.ty)).trim().to_owned()
            });
            let fields = fields.collect::<Vec<_>>().join(", ");
            let head = format!("{} struct {}{}", words(&item.vis), item.ident, words(&item.generics));
            vec![format!("{}{head} {{ {fields} }}", attributes(&item.attrs))]
        }
        Item::Trait(item) => {
            let methods = item.items.iter().map(|item| match item {
                TraitItem::Fn(method) => words(&method.sig),
                other => words(other),
            });
            let methods = methods.collect::<Vec<_>>().join("; ");
            let head = format!("{} trait {}{}", words(&item.vis), item.ident, words(&item.generics));
            vec![format!("{}{head} {{ {methods} }}", attributes(&item.attrs))]
        }
        Item::Impl(item) => {
            let of = item.trait_.as_ref().map(|(_, path, _)| format!("{} for ", words(path)));
            let head =
                format!("impl{} {}{}", words(&item.generics), of.unwrap_or_default(), words(&item.self_ty));
            let methods = item.items.iter().map(|item| match item {
                ImplItem::Fn(method) => {
                    format!("{}{} {}", attributes(&method.attrs), words(&method.vis), words(&method.sig))
                }
                other => words(other),
            });
            let indented = methods.map(|method| format!("    {}", method.trim()));
            std::iter::once(head).chain(indented).collect()
        }
        other => vec![words(other)],
    }
}

/// Which of these types a file makes by literal, and which it writes impls for.
pub fn makers(text: &str, types: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut reader = Makers { types: types.iter().map(ToString::to_string).collect(), ..Makers::default() };
    reader.visit_file(&syn::parse_file(text).unwrap());
    (reader.made, reader.extended)
}

#[derive(Default)]
struct Makers {
    types: Vec<String>,
    made: Vec<String>,
    extended: Vec<String>,
}

impl Makers {
    fn named(&self, path: &syn::Path) -> Option<String> {
        let name = path.segments.last()?.ident.to_string();
        self.types.contains(&name).then_some(name)
    }
}

impl<'ast> Visit<'ast> for Makers {
    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        self.made.extend(self.named(&made.path));
        visit::visit_expr_struct(self, made);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let syn::Type::Path(path) = &*item.self_ty {
            self.extended.extend(self.named(&path.path));
        }
        visit::visit_item_impl(self, item);
    }
}

/// Attributes but documentation: derives make code.
fn attributes(attributes: &[Attribute]) -> String {
    let telling = attributes.iter().filter(|attribute| !attribute.path().is_ident("doc"));
    telling.map(|attribute| format!("{} ", words(attribute))).collect()
}

/// Tokens as people space them.
fn words(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (loose, tight) in [
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" ,", ","),
        (" :", ":"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        ("# [", "#["),
        (":: ", "::"),
        (" ::", "::"),
    ] {
        text = text.replace(loose, tight);
    }
    text.replace("->", " ->").replace("  ", " ").trim_end_matches([' ', ';']).trim().to_owned()
}
