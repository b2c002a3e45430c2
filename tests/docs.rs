//! Every public item of the runtime shows itself at work: an example in its documentation, which
//! `cargo test --doc` runs, in the names users depend on.

use std::fs;
use std::path::Path;

/// What the attributes' expansions call: not for people, and not in the documentation.
const EXEMPT: [&str; 2] = ["event_loop/entry.rs", "event_loop/test_entry.rs"];

/// What follows `pub` where an item with a page, or a place on one, begins. Fields have a name
/// there, `pub mod` and `pub use` have no page of their own to show anything on.
const ITEMS: [&str; 10] =
    ["async", "const", "enum", "fn", "macro", "static", "struct", "trait", "type", "union"];

#[derive(Debug, PartialEq)]
struct Item {
    line: usize,
    /// From `pub` to where its body, or the next item, begins.
    signature: String,
    /// Its documentation, a line each, without the slashes.
    docs: Vec<String>,
}

impl Item {
    /// What stands after the opening fence of each of its blocks of code, and the block itself.
    fn blocks(&self) -> Vec<(&str, Vec<&str>)> {
        let mut blocks = Vec::new();
        let mut lines = self.docs.iter().map(|line| line.trim());
        while let Some(line) = lines.next() {
            if let Some(kind) = line.strip_prefix("```") {
                blocks.push((kind, lines.by_ref().take_while(|line| *line != "```").collect()));
            }
        }
        blocks
    }

    fn has_section(&self, name: &str) -> bool {
        self.docs.iter().any(|line| line.trim().strip_prefix("# ") == Some(name))
    }

    fn has_example(&self) -> bool {
        self.blocks().iter().any(|(kind, code)| {
            matches!(*kind, "" | "rust" | "should_panic")
                && code.iter().any(|line| line.contains("assert") || line.contains("loopbind::"))
        })
    }
}

/// The public items of a source text, its tests at the end left out.
fn items(text: &str) -> Vec<Item> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let mut items = Vec::new();
    let mut docs = Vec::new();
    // Brackets that an attribute has opened and not closed yet.
    let mut open = 0;
    let mut lines = code.lines().map(str::trim).enumerate();
    while let Some((number, line)) = lines.next() {
        if open == 0 {
            if let Some(doc) = line.strip_prefix("///") {
                docs.push(doc.to_owned());
                continue;
            }
        }
        if open > 0 || line.starts_with("#[") {
            open += line.matches('[').count();
            open -= line.matches(']').count();
            continue;
        }
        let docs = std::mem::take(&mut docs);
        let mut words = line.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '(' | ':'));
        if words.next() == Some("pub") && words.next().is_some_and(|word| ITEMS.contains(&word)) {
            let mut signature = line.to_owned();
            while !signature.ends_with(['{', '}', ';']) {
                let Some((_, line)) = lines.next() else { break };
                signature.extend([" ", line]);
            }
            items.push(Item { line: number + 1, signature, docs });
        }
    }
    items
}

/// The public items of the runtime, with the files they are in.
fn runtime() -> Vec<(String, Item)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("loopbind-runtime/src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let file = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                if !EXEMPT.contains(&file.as_str()) {
                    let text = fs::read_to_string(&path).unwrap();
                    found.extend(items(&text).into_iter().map(|item| (file.clone(), item)));
                }
            }
        }
    }
    assert!(found.len() > 130, "found {} items: is this the runtime?", found.len());
    found.sort_by(|(a, left), (b, right)| (a, left.line).cmp(&(b, right.line)));
    found
}

/// Fails with the items that `is_wrong` picks, a line each.
#[track_caller]
fn assert_none(what: &str, is_wrong: impl Fn(&Item) -> bool) {
    let wrong = runtime().into_iter().filter(|(_, item)| is_wrong(item));
    let wrong: Vec<_> =
        wrong.map(|(file, item)| format!("{file}:{}: {}", item.line, item.signature)).collect();
    assert!(wrong.is_empty(), "{} {what}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_public_item_has_an_example_that_runs() {
    assert_none("public items without an example", |item| !item.has_example());
}

#[test]
fn examples_use_the_names_users_depend_on_one_by_one() {
    assert_none("examples with a glob, or with the runtime's own name", |item| {
        let mut lines = item.blocks().into_iter().flat_map(|(_, code)| code);
        lines.any(|line| line.contains("loopbind_runtime") || line.contains("::*"))
    });
}

#[test]
fn a_future_says_what_dropping_it_does() {
    assert_none("functions that give a future without a word on cancel safety", |item| {
        let is_future = item.signature.starts_with("pub async fn")
            || item.signature.contains("-> impl Future<");
        is_future && !item.has_section("Cancel safety")
    });
}

#[test]
fn a_result_says_when_it_is_an_error() {
    assert_none("functions that give a Result without saying when it is an error", |item| {
        let results = ["-> Result<", "-> std::thread::Result<"];
        results.iter().any(|result| item.signature.contains(result)) && !item.has_section("Errors")
    });
}

/// The reader of sources itself: what it takes for an item, and what for an example.
#[test]
fn items_are_told_from_fields_and_examples_from_other_code() {
    let text = "
        /// Shown.
        ///
        /// ```
        /// assert!(true);
        /// ```
        #[derive(
            Clone,
        )]
        pub struct Shown {
            /// A field.
            pub function: u32,
        }
        /// Sketched.
        /// ```ignore
        /// assert!(false);
        /// ```
        pub async fn sketched(
            long: u32,
        ) {

        pub(crate) fn inner() {}
        pub use other::thing;
        pub mod room;
        pub fn bare() {}
        #[cfg(test)]\nmod tests { pub fn tested() {} }
    ";
    let shown = items(text).into_iter().map(|item| (item.signature.clone(), item.has_example()));
    let expected = [
        ("pub struct Shown {", true),
        ("pub async fn sketched( long: u32, ) {", false),
        ("pub fn bare() {}", false),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected.map(|(text, has)| (text.to_owned(), has)));
}
