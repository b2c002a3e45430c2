//! What of two crates can be named from outside of the first: a line for each item, method, field, variant and
//! implementation.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::{Fields, FnArg, ImplItem, Item, Pat, ReceiverKind, TraitItem, Type, Visibility};

use crate::source::{Source, Visible, attributes, is_hidden, visible};

/// A module of ours and, in it, the name of an item.
type Definition = (Vec<String>, String);

enum Found {
    Item(Definition),
    Module(Vec<String>),
    /// Another crate's.
    Elsewhere,
}

struct Surface<'a> {
    runtime: &'a Source,
    /// Where each definition is found, the first and shortest way first.
    places: BTreeMap<Definition, Vec<String>>,
    lines: BTreeSet<String>,
}

/// The lines, in order. `front` is the door, and `runtime` what it opens: the crate named `loopbind_runtime`.
pub(crate) fn surface(front: &Source, runtime: &Source) -> Vec<String> {
    let mut surface = Surface { runtime, places: BTreeMap::new(), lines: BTreeSet::new() };
    let mut doors: Vec<_> = front.modules.keys().collect();
    doors.sort_by_key(|path| path.len());
    for path in doors {
        surface.door(front, path);
    }
    surface.describe();
    surface.lines.into_iter().collect()
}

impl Surface<'_> {
    /// A module of the front door: what is taken in from the runtime, and pages of their own.
    fn door(&mut self, front: &Source, path: &[String]) {
        let here = join("loopbind", path);
        let module = &front.modules[path];
        assert!(module.items.is_empty(), "{here}: the front door has items of its own");
        if !path.is_empty() {
            self.lines.insert(format!("{here}: mod"));
        }
        for used in module.uses.iter().filter(|used| used.visible == Visible::Everywhere) {
            let (from, inside) = used.path.split_first().unwrap();
            let name = used.name.as_str();
            match (from.as_str(), name) {
                ("loopbind_macros", name) => {
                    self.lines.insert(format!("{here}::{name}: attribute"));
                }
                ("loopbind_runtime", "__private") => {}
                ("loopbind_runtime", "*") => self.module(&here, inside),
                ("loopbind_runtime", name) => self.named(&format!("{here}::{name}"), &[], inside),
                _ => panic!("{here}: whose is {}?", used.path.join("::")),
            }
        }
    }

    /// All that is public in a module of the runtime's.
    fn module(&mut self, here: &str, path: &[String]) {
        let module = &self.runtime.modules[path];
        for item in &module.items {
            if let Some(name) = public_name(item) {
                self.place(format!("{here}::{name}"), (path.to_vec(), name));
            }
        }
        for used in module.uses.iter().filter(|used| used.visible == Visible::Everywhere) {
            assert!(used.name != "*", "{here}: all of {}", used.path.join("::"));
            self.named(&format!("{here}::{}", used.name), path, &used.path);
        }
        for (name, _) in module.inner.iter().filter(|(_, seen)| **seen == Visible::Everywhere) {
            let below: Vec<_> = path.iter().chain([name]).cloned().collect();
            self.inner(&format!("{here}::{name}"), &below);
        }
    }

    fn inner(&mut self, here: &str, path: &[String]) {
        self.lines.insert(format!("{here}: mod"));
        self.module(here, path);
    }

    /// What `path` means in the module `from`, as a public item called `here`.
    fn named(&mut self, here: &str, from: &[String], path: &[String]) {
        match self.find(from, path) {
            Found::Item(definition) => self.place(here.to_owned(), definition),
            Found::Module(module) => self.inner(here, &module),
            Found::Elsewhere => {
                self.lines.insert(format!("{here}: is {}", path.join("::")));
            }
        }
    }

    fn place(&mut self, here: String, definition: Definition) {
        self.places.entry(definition).or_default().push(here);
    }

    fn find(&self, from: &[String], path: &[String]) -> Found {
        let [first, rest @ ..] = path else { return Found::Module(from.to_vec()) };
        match first.as_str() {
            "crate" => return self.find(&[], rest),
            "self" => return self.find(from, rest),
            "super" => return self.find(&from[..from.len() - 1], rest),
            _ => {}
        }
        let module = &self.runtime.modules[from];
        let inner = || {
            let below: Vec<_> = from.iter().chain([first]).cloned().collect();
            module.inner.contains_key(first).then(|| self.find(&below, rest))
        };
        // A function may have the name of the module that it is in; only a module has something in it.
        if let Some(found) = (!rest.is_empty()).then(inner).flatten() {
            return found;
        }
        if module.items.iter().any(|item| name_of(item).is_some_and(|name| name == *first)) {
            return Found::Item((from.to_vec(), first.clone()));
        }
        match module.uses.iter().find(|used| used.name == *first) {
            // Another crate, by its own name.
            Some(used) if used.path[0] == *first && !module.inner.contains_key(first) => {
                Found::Elsewhere
            }
            Some(used) => match self.find(from, &used.path) {
                Found::Module(module) => self.find(&module, rest),
                found => found,
            },
            None => inner().unwrap_or(Found::Elsewhere),
        }
    }

    /// Where users find what a path in a module means, if they do and it is ours.
    fn seen(&self, from: &[String], path: &syn::Path) -> Seen {
        let path: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        match self.find(from, &path) {
            Found::Item(definition) => {
                self.places.get(&definition).map_or(Seen::Private, |at| Seen::At(shortest(at)))
            }
            _ => Seen::Elsewhere,
        }
    }

    fn describe(&mut self) {
        let mut lines = BTreeSet::new();
        for ((module, name), places) in &self.places {
            let here = shortest(places);
            for other in places.iter().filter(|place| **place != here) {
                lines.insert(format!("{other}: is {here}"));
            }
            let items = &self.runtime.modules[module].items;
            let item = items.iter().find(|item| name_of(item).is_some_and(|it| it == *name));
            lines.extend(item_lines(item.unwrap()).into_iter().map(|line| format!("{here}{line}")));
        }
        for (path, module) in &self.runtime.modules {
            for item in &module.items {
                if let Item::Impl(block) = item {
                    lines.extend(self.impl_lines(path, block));
                }
            }
        }
        self.lines.extend(lines);
    }

    fn impl_lines(&self, module: &[String], block: &syn::ItemImpl) -> Vec<String> {
        let own = head(&block.self_ty).map(|path| self.seen(module, path));
        let Some((of, _)) = &block.trait_ else {
            let Some(Seen::At(here)) = own else { return Vec::new() };
            let generics = impl_header(block);
            let items = block.items.iter().filter_map(|item| match item {
                ImplItem::Fn(method) if is_shown(&method.vis, &method.attrs) => Some(format!(
                    "{here}::{}: {generics}{}",
                    method.sig.ident,
                    signature(&method.sig)
                )),
                ImplItem::Const(item) if is_shown(&item.vis, &item.attrs) => {
                    let of = text(&item.ty);
                    Some(format!("{here}::{}: {generics}const {of}", item.ident))
                }
                _ => None,
            });
            return items.collect();
        };
        // Where it is of interest: at the type, at the trait, or at what either is about.
        let trait_ = self.seen(module, of);
        let about = arguments(of).into_iter().map(|path| self.seen(module, path));
        let all: Vec<_> = own.into_iter().chain([trait_]).chain(about).collect();
        let here = all.iter().find_map(|seen| match seen {
            Seen::At(here) => Some(here),
            _ => None,
        });
        let Some(here) = here.filter(|_| !all.iter().any(|seen| matches!(seen, Seen::Private)))
        else {
            return Vec::new();
        };
        let types = block.items.iter().filter_map(|item| match item {
            ImplItem::Type(it) => Some(format!("type {} = {}", it.ident, text(&it.ty))),
            _ => None,
        });
        let types: Vec<_> = types.collect();
        let types =
            if types.is_empty() { String::new() } else { format!(" {{ {} }}", types.join("; ")) };
        vec![format!("{here}: {}{types}", impl_header(block))]
    }
}

enum Seen {
    At(String),
    Private,
    Elsewhere,
}

fn shortest(places: &[String]) -> String {
    places.iter().min_by_key(|place| (place.matches("::").count(), place.len())).unwrap().clone()
}

fn join(root: &str, path: &[String]) -> String {
    [root].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join("::")
}

/// The type itself, behind references.
fn head(of: &Type) -> Option<&syn::Path> {
    match of {
        Type::Path(path) => Some(&path.path),
        Type::Reference(reference) => head(&reference.elem),
        Type::Group(group) => head(&group.elem),
        Type::Paren(paren) => head(&paren.elem),
        _ => None,
    }
}

/// The types in the brackets of a trait.
fn arguments(path: &syn::Path) -> Vec<&syn::Path> {
    let mut found = Vec::new();
    for segment in &path.segments {
        if let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments {
            for argument in &arguments.args {
                if let syn::GenericArgument::Type(of) = argument {
                    found.extend(head(of));
                }
            }
        }
    }
    found
}

fn is_shown(visibility: &Visibility, attributes: &[syn::Attribute]) -> bool {
    visible(visibility) == Visible::Everywhere && !is_hidden(attributes)
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn public_name(item: &Item) -> Option<String> {
    let visibility = match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        Item::Union(item) => &item.vis,
        _ => return None,
    };
    (visible(visibility) == Visible::Everywhere).then(|| name_of(item)).flatten()
}

/// What stands behind the place of an item, with a colon; members have their own names before it.
fn item_lines(item: &Item) -> Vec<String> {
    let open = attributes(item).iter().any(|it| it.path().is_ident("non_exhaustive"));
    let mark = if open { "#[non_exhaustive] " } else { "" };
    let mut lines = Vec::new();
    match item {
        Item::Fn(function) => lines.push(format!(": {}", signature(&function.sig))),
        Item::Struct(of) => {
            lines.push(format!(": {mark}struct{}", generics(&of.generics)));
            lines.extend(fields("", &of.fields, true));
            if matches!(of.fields, Fields::Unit) {
                lines.push(": has no fields".to_owned());
            }
        }
        Item::Enum(of) => {
            lines.push(format!(": {mark}enum{}", generics(&of.generics)));
            for variant in &of.variants {
                let name = format!("::{}", variant.ident);
                lines.push(format!("{name}: variant"));
                lines.extend(fields(&name, &variant.fields, false));
            }
        }
        Item::Trait(of) => {
            let above = text(&of.supertraits);
            let unsafety = if of.unsafety.is_some() { "unsafe " } else { "" };
            let above = if above.is_empty() { above } else { format!(" above {above}") };
            lines.push(format!(": {unsafety}trait{}{above}", generics(&of.generics)));
            lines.extend(of.items.iter().filter_map(|item| match item {
                TraitItem::Fn(method) if !is_hidden(&method.attrs) => {
                    let given = if method.default.is_some() { "provided " } else { "" };
                    Some(format!("::{}: {given}{}", method.sig.ident, signature(&method.sig)))
                }
                TraitItem::Type(of) => {
                    let bounds = text(&of.bounds);
                    Some(format!("::{}: type {bounds}", of.ident).trim_end().to_owned())
                }
                TraitItem::Const(of) => Some(format!("::{}: const {}", of.ident, text(&of.ty))),
                _ => None,
            }));
        }
        Item::Const(of) => lines.push(format!(": const {}", text(&of.ty))),
        Item::Static(of) => lines.push(format!(": static {}", text(&of.ty))),
        Item::Type(of) => lines.push(format!(": type = {}", text(&of.ty))),
        Item::Union(_) => lines.push(": union".to_owned()),
        _ => unreachable!("it has a name"),
    }
    for derive in attributes(item).iter().filter(|attribute| attribute.path().is_ident("derive")) {
        derive
            .parse_nested_meta(|meta| {
                lines.push(format!(": derives {}", text(&meta.path)));
                Ok(())
            })
            .unwrap();
    }
    lines
}

fn fields(of: &str, fields: &Fields, only_public: bool) -> Vec<String> {
    let shown = |field: &&syn::Field| !only_public || is_shown(&field.vis, &field.attrs);
    let lines =
        fields.iter().enumerate().filter(|(_, field)| shown(field)).map(|(index, field)| {
            let name = field.ident.as_ref().map_or(index.to_string(), ToString::to_string);
            let from =
                if field.attrs.iter().any(|it| it.path().is_ident("from")) { "from " } else { "" };
            format!("{of}.{name}: {from}{}", text(&field.ty))
        });
    lines.collect()
}

fn generics(generics: &syn::Generics) -> String {
    format!("{}{}", text(generics), where_clause(generics))
}

fn where_clause(generics: &syn::Generics) -> String {
    generics.where_clause.as_ref().map_or(String::new(), |clause| format!(" {}", text(clause)))
}

fn impl_header(block: &syn::ItemImpl) -> String {
    let parameters = text(&block.generics);
    let clause = where_clause(&block.generics);
    match &block.trait_ {
        Some((of, _)) => {
            format!("impl{parameters} {} for {}{clause}", text(of), text(&block.self_ty))
        }
        None => {
            let of = text(&block.self_ty);
            // Of interest only where there is something to say of the type.
            if of.contains('<') {
                format!("impl{parameters} {of}{clause}: ")
            } else {
                String::new()
            }
        }
    }
}

/// Without what is the body's affair: whether an argument may be changed in it.
fn signature(signature: &syn::Signature) -> String {
    let mut signature = signature.clone();
    for argument in &mut signature.inputs {
        match argument {
            FnArg::Receiver(receiver) if !matches!(receiver.kind, ReceiverKind::Reference(..)) => {
                receiver.mutability = None;
            }
            FnArg::Typed(argument) => match &mut *argument.pat {
                Pat::Ident(name) => name.mutability = None,
                pattern => *pattern = syn::parse_quote!(_),
            },
            FnArg::Receiver(_) => {}
        }
    }
    text(&signature)
}

/// Tokens, in a line, spaced as people do.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    fn flat(tokens: proc_macro2::TokenStream, into: &mut Vec<String>, glue: &mut Vec<bool>) {
        use proc_macro2::{Delimiter, Spacing, TokenTree};
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    into.push(open.to_owned());
                    glue.push(false);
                    flat(group.stream(), into, glue);
                    // A comma behind the last, where lines were broken.
                    if into.last().is_some_and(|last| last == ",") && close == ")" {
                        into.pop();
                        glue.pop();
                    }
                    into.push(close.to_owned());
                    glue.push(false);
                }
                TokenTree::Punct(punct) => {
                    into.push(punct.to_string());
                    glue.push(punct.spacing() == Spacing::Joint);
                }
                other => {
                    into.push(other.to_string());
                    glue.push(false);
                }
            }
        }
    }
    let (mut words, mut glue) = (Vec::new(), Vec::new());
    flat(tokens.to_token_stream(), &mut words, &mut glue);
    // What was written without a space between.
    let mut joined: Vec<String> = Vec::new();
    let mut open = false;
    for (word, glued) in words.into_iter().zip(glue).filter(|(word, _)| !word.is_empty()) {
        match joined.last_mut() {
            Some(last) if open => last.push_str(&word),
            _ => joined.push(word),
        }
        open = glued;
    }
    let mut line = String::new();
    for (index, word) in joined.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", |index| joined[index].as_str());
        let tight = line.is_empty()
            || matches!(
                word.as_str(),
                "," | ")" | "]" | ">" | ";" | "::" | "." | "?" | ":" | "!" | "(" | "["
            ) && !matches!(
                (before, word.as_str()),
                ("->" | "=" | "," | "+" | ":" | "dyn" | "mut", _)
            )
            || word == "<" && !matches!(before, "->" | "=" | "," | "+" | ":")
            || word.starts_with(">,")
            || word.starts_with(">>")
            || word.starts_with("::")
            || matches!(before, "(" | "[" | "<" | "::" | "&" | "*" | "#" | "?" | "!" | ".")
            || before.ends_with("::")
            || before.ends_with('&')
            || before.ends_with('<');
        if !tight {
            line.push(' ');
        }
        line.push_str(word);
    }
    // Those two are named either way.
    line.replace("std::fmt::", "fmt::")
        .replace("std::io::", "io::")
        .trim_end_matches(',')
        .to_owned()
}
