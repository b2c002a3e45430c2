//! A crate as its files say it: modules, with what each of them holds and takes in, macros expanded.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::{Item, UseTree, Visibility};

use crate::expand;

#[derive(Default)]
pub(crate) struct Module {
    pub(crate) items: Vec<Item>,
    /// `use` by `use`, name by name: what it is called here, where it is, and who sees it.
    pub(crate) uses: Vec<Use>,
    /// The names of the modules in it.
    pub(crate) inner: BTreeMap<String, Visible>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Visible {
    Everywhere,
    Here,
}

pub(crate) struct Use {
    /// `*` for all that is public there.
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
    pub(crate) visible: Visible,
}

pub(crate) struct Source {
    /// By their paths from the crate's root.
    pub(crate) modules: BTreeMap<Vec<String>, Module>,
    macros: BTreeMap<String, proc_macro2::TokenStream>,
}

pub(crate) fn visible(visibility: &Visibility) -> Visible {
    match visibility {
        Visibility::Public(_) => Visible::Everywhere,
        _ => Visible::Here,
    }
}

impl Source {
    /// The crate whose root this file is.
    pub(crate) fn open(root: &Path) -> Source {
        let mut source = Source { modules: BTreeMap::new(), macros: BTreeMap::new() };
        source.read(Vec::new(), root, root.parent().unwrap());
        source.expand();
        source
    }

    /// A crate in one file.
    pub(crate) fn of(text: &str) -> Source {
        let mut source = Source { modules: BTreeMap::new(), macros: BTreeMap::new() };
        source.enter(Vec::new(), syn::parse_file(text).unwrap().items, Path::new("nowhere"));
        source.expand();
        source
    }

    fn read(&mut self, path: Vec<String>, file: &Path, folder: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let items =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{file:?}: {error}")).items;
        self.enter(path, items, folder);
    }

    /// `folder` is where the files of the modules in this one are.
    fn enter(&mut self, path: Vec<String>, items: Vec<Item>, folder: &Path) {
        let mut module = Module::default();
        for item in items {
            if is_hidden(attributes(&item)) {
                continue;
            }
            match item {
                // Under one name, one of several by platform: nothing there is public.
                Item::Mod(inner) if inner.attrs.iter().any(|it| it.path().is_ident("path")) => {
                    let seen = visible(&inner.vis);
                    assert_eq!(seen, Visible::Here, "{}: which of them is public?", inner.ident);
                }
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    module.inner.insert(name.clone(), visible(&inner.vis));
                    let below = path.iter().cloned().chain([name.clone()]).collect();
                    if let Some((_, items)) = inner.content {
                        self.enter(below, items, &folder.join(&name));
                        continue;
                    }
                    let inside = folder.join(&name);
                    let flat = folder.join(format!("{name}.rs"));
                    let file = if flat.exists() { flat } else { inside.join("mod.rs") };
                    self.read(below, &file, &inside);
                }
                Item::Use(uses) => {
                    collect_uses(&uses.tree, Vec::new(), visible(&uses.vis), &mut module.uses);
                }
                Item::Macro(macro_) if macro_.ident.is_some() => {
                    let name = macro_.ident.unwrap().to_string();
                    self.macros.insert(name, macro_.mac.tokens);
                }
                item => module.items.push(item),
            }
        }
        self.modules.insert(path, module);
    }

    /// Puts what macros make in the place of their calls.
    fn expand(&mut self) {
        for module in self.modules.values_mut() {
            let mut todo: Vec<Item> = std::mem::take(&mut module.items);
            todo.reverse();
            while let Some(item) = todo.pop() {
                let Item::Macro(call) = item else {
                    module.items.push(item);
                    continue;
                };
                let name = call.mac.path.segments.last().unwrap().ident.to_string();
                let made = if name == "pin_project" {
                    call.mac.tokens.clone()
                } else if let Some(rules) = self.macros.get(&name) {
                    let made = expand::expand(rules.clone(), call.mac.tokens.clone());
                    made.unwrap_or_else(|| panic!("no rule of {name}! fits {}", call.mac.tokens))
                } else {
                    assert!(name == "thread_local", "{name}!: whose macro is it?");
                    continue;
                };
                let made = syn::parse2::<syn::File>(made);
                let made = made.unwrap_or_else(|error| panic!("what {name}! makes: {error}"));
                todo.extend(
                    made.items.into_iter().rev().filter(|item| !is_hidden(attributes(item))),
                );
            }
        }
    }
}

fn collect_uses(tree: &UseTree, before: Vec<String>, visible: Visible, into: &mut Vec<Use>) {
    let with = |name: &dyn ToString| before.iter().cloned().chain([name.to_string()]).collect();
    match tree {
        UseTree::Path(path) => collect_uses(&path.tree, with(&path.ident), visible, into),
        UseTree::Name(name) if name.ident == "self" => {
            into.push(Use { name: before.last().unwrap().clone(), path: before, visible });
        }
        UseTree::Name(name) => {
            into.push(Use { name: name.ident.to_string(), path: with(&name.ident), visible });
        }
        UseTree::Rename(new) => {
            into.push(Use { name: new.rename.to_string(), path: with(&new.ident), visible });
        }
        UseTree::Glob(_) => into.push(Use { name: "*".to_owned(), path: before, visible }),
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| collect_uses(tree, before.clone(), visible, into));
        }
    }
}

/// Not a part of what users see: tests, pages of documentation, and what says that it is hidden.
pub(crate) fn is_hidden(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = crate::surface::text(attribute).replace(' ', "");
        text == "#[doc(hidden)]"
            || text == "#[cfg(test)]"
            || text == "#[cfg(doctest)]"
            || text == "#[cfg(any(doc,doctest))]"
    })
}

pub(crate) fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
