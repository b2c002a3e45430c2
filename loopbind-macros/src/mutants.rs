//! Functions and options that are right, and then wrong by a token or a few: what people write, and editors send.
//!
//! Each token of each function and of each list of options is left out, doubled, exchanged with the next one, replaced,
//! wrapped and unwrapped, one at a time; after that, several at random. `LOOPBIND_MUTANTS=1000000 cargo test -p loopbind-macros
//! mutants` tries more of those, and `LOOPBIND_MUTANTS=1234..1235` the one that a failure names.

use crate::expand::expand;
use crate::model::Attribute;
use crate::parse::{self, Body};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use std::fmt::Display;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use syn::{FnArg, ItemFn, MacroDelimiter, Meta, Pat, ReturnType, Signature};

/// How many errors `loop_thread` has for each, and each of them.
const FUNCTIONS: [(usize, &str); 12] = [
    (0, "async fn main() { work().await; }"),
    (0, "pub fn start(number: u32) -> Result<(), Error> { Ok(()) }"),
    (
        0,
        "/// Says.\n #[inline] pub(crate) async fn say(mut word: &str, (a, _): (u8, u8), _: u8) -> Option<&'static str> { word.len(); None }",
    ),
    (
        0,
        "async fn first<'a, T: Clone + 'a, const N: usize>(values: &'a [T; N], label: impl Display) -> &'a T where T: Debug { &values[0] }",
    ),
    (0, "pub async unsafe extern \"C\" fn callback(pointer: *const u8) -> u8 { *pointer }"),
    (0, "fn worker(names: Vec<String>, #[cfg(unix)] limit: usize) -> ! { loop {} }"),
    (
        0,
        "async fn work(&mut self, count: u32) -> Result<Self, Error> { self.count += count; todo!() }",
    ),
    (0, "async fn owned(self: Rc<Self>, other: Self) -> impl Fn() -> u32 + '_ { || self.count }"),
    (
        1,
        "async fn nested() { let f = |x: L| x.run_forever(); get().run_until_complete::<F>(f).unwrap(); }",
    ),
    (1, "const fn constant() -> u32 { 1 }"),
    (1, "pub async fn declared(&self) -> u32;"),
    (
        0,
        "#[should_panic] async fn r#try() -> Result<(), Error> { #![allow(unused)] match a { b if c || d => e?, _ => {} } Ok(()) }",
    ),
];

const OPTIONS: [(Attribute, &str); 9] = [
    (Attribute::Main, ""),
    (Attribute::Main, "name = \"ui\", debug, ctrl_c = \"cancel\", spin = \"50us\""),
    (
        Attribute::Main,
        "builder = make(1)?, allow_nested_run, crate = a::b::loopbind, debug = cfg!(x),",
    ),
    (Attribute::Thread, "spawn, stack_size = 1 << 20, core = 0"),
    (Attribute::Thread, "name = format!(\"io-{}\", 1)"),
    (Attribute::Thread, "spawn"),
    (Attribute::Test, "virtual_time, seeds = 0..64, timeout = \"1500ms\""),
    (Attribute::Test, "seed = 7, timeout = Duration::from_secs(1)"),
    (Attribute::Test, "virtual_time"),
];

/// What stands where something else should.
const STRANGERS: &str = "fn async const unsafe extern pub crate self Self super impl dyn where for let mut ref move static type union \
    r#fn _ 'a 'static \"s\" b\"b\" c\"c\" 'c' b'c' 0 1u8 -1 1.5 0..1 0..=1 ..  ... = == => -> <- :: : ; , . ? ! # $ @ & && | || < > << >> + - * / ~ \
    () [] {} (a) [a] {a} spawn virtual_time seed seeds timeout name stack_size core debug spin ctrl_c allow_nested_run builder run_forever";

struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        // Any odd number apart from the seed will do: the state must not be zero.
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % sides.max(1) as u64) as usize
    }
}

/// How a token is spoilt.
#[derive(Clone)]
enum Change {
    LeaveOut,
    Double,
    ExchangeWithNext,
    Replace(TokenTree),
    PutBefore(TokenTree),
    Wrap(Delimiter),
    /// What is in a group comes without it; other tokens stay.
    Unwrap,
    /// Nothing comes behind, on this level.
    CutOff,
}

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("tokens")
}

fn count(stream: &TokenStream) -> usize {
    let each = stream.clone().into_iter().map(|tree| match tree {
        TokenTree::Group(group) => 1 + count(&group.stream()),
        _ => 1,
    });
    each.sum()
}

/// The stream with its `at`-th token, counted on every level, changed; counts down while it looks.
fn spoil(stream: TokenStream, at: &mut usize, change: &Change) -> TokenStream {
    let mut spoilt = Vec::new();
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let is_it = *at == 0;
        *at = at.wrapping_sub(1);
        if !is_it {
            spoilt.push(match tree {
                TokenTree::Group(group) => {
                    let mut inside =
                        Group::new(group.delimiter(), spoil(group.stream(), at, change));
                    inside.set_span(group.span());
                    TokenTree::Group(inside)
                }
                other => other,
            });
            continue;
        }
        // Not again.
        *at = usize::MAX;
        match change {
            Change::LeaveOut => {}
            Change::Double => spoilt.extend([tree.clone(), tree]),
            Change::ExchangeWithNext => {
                spoilt.extend(trees.next());
                spoilt.push(tree);
            }
            Change::Replace(stranger) => spoilt.push(stranger.clone()),
            Change::PutBefore(stranger) => spoilt.extend([stranger.clone(), tree]),
            Change::Wrap(delimiter) => {
                let span = tree.span();
                let mut group = Group::new(*delimiter, tree.into());
                group.set_span(span);
                spoilt.push(TokenTree::Group(group));
            }
            Change::Unwrap => match tree {
                TokenTree::Group(group) => spoilt.extend(group.stream()),
                other => spoilt.push(other),
            },
            Change::CutOff => return spoilt.into_iter().collect(),
        }
    }
    spoilt.into_iter().collect()
}

/// An expansion: the errors in front of it, by their messages and places, and the item behind them.
struct Expanded {
    errors: Vec<(String, Range<usize>)>,
    item: TokenStream,
}

/// Each error is `::core::compile_error! { "message" }`, and nothing but errors stands before the item.
fn read(expanded: TokenStream) -> Expanded {
    const LENGTH: usize = 8;
    let mut trees: Vec<_> = expanded.into_iter().collect();
    let mut errors = Vec::new();
    while let Some(TokenTree::Ident(name)) =
        trees.get(5).filter(|tree| tree.to_string() == "compile_error")
    {
        let message = trees[LENGTH - 1].to_string();
        // From the first token to the last one that it underlines.
        errors.push((message, name.span().byte_range()));
        trees.drain(..LENGTH);
    }
    Expanded { errors, item: trees.into_iter().collect() }
}

/// The signature as it is seen from outside, whatever its arguments are called inside.
fn seen(signature: &Signature) -> String {
    let mut seen = signature.clone();
    seen.asyncness = None;
    for input in &mut seen.inputs {
        if let FnArg::Typed(argument) = input {
            *argument.pat = Pat::Verbatim(quote!(_));
            // Others are for the one inside; so is one that is malformed, of which rustc complains there.
            argument.attrs.retain_mut(|of| match &mut of.meta {
                Meta::List(list) if list.path.is_ident("cfg") => {
                    list.delimiter = MacroDelimiter::Paren(Default::default());
                    true
                }
                _ => false,
            });
        }
    }
    // A list with a comma at its end is one without.
    seen.inputs = std::mem::take(&mut seen.inputs).into_iter().collect();
    // A function with `spawn` returns a thread, and one that returns `()` need not say so.
    seen.output = ReturnType::Default;
    written(&seen)
}

fn written(syntax: &impl ToTokens) -> String {
    syntax.to_token_stream().to_string()
}

/// Everything that is true of an expansion, whatever stands in it.
fn check(attribute: Attribute, options: TokenStream, item: TokenStream) {
    let is_nothing = item.is_empty();
    let expanded = read(expand(attribute, options, item.clone()));
    for (message, place) in &expanded.errors {
        assert!(!place.is_empty() || is_nothing, "nowhere: {message}");
    }
    let Ok(before) = parse::function("attribute", item.clone()) else {
        assert!(!expanded.errors.is_empty(), "it is no function, and nobody says so");
        assert_eq!(written(&expanded.item), written(&item), "what is no function stays");
        return;
    };
    let now = parse::function("attribute", expanded.item.clone())
        .unwrap_or_else(|error| panic!("no function is left, {error}: {}", expanded.item));
    assert_eq!(written(&now.visibility), written(&before.visibility));
    assert_eq!(seen(&now.signature), seen(&before.signature));
    let now_has: Vec<_> = now.attributes.iter().map(written).collect();
    assert!(before.attributes.iter().all(|attribute| now_has.contains(&written(attribute))));
    let is_missing = |body: &Body| matches!(body, Body::Missing(_));
    assert_eq!(is_missing(&now.body), is_missing(&before.body));
    assert!(!is_missing(&before.body) || !expanded.errors.is_empty());
    // Where the compiler would have read the function, it reads what became of it.
    if syn::parse2::<ItemFn>(item).is_ok() {
        syn::parse2::<ItemFn>(expanded.item.clone())
            .unwrap_or_else(|error| panic!("it does not parse, {error}: {}", expanded.item));
    }
}

/// As `check`, and says what it was about where it fails.
fn try_one(name: impl Display, attribute: Attribute, options: TokenStream, item: TokenStream) {
    let shown = format!("#[{}({options})]\n{item}", attribute.name());
    let outcome = catch_unwind(AssertUnwindSafe(|| check(attribute, options, item)));
    if let Err(payload) = outcome {
        eprintln!("mutant {name}:\n{shown}");
        resume_unwind(payload);
    }
}

/// The ways to spoil a token in which nothing is left to chance.
fn plain_changes() -> Vec<Change> {
    let mut changes = vec![
        Change::LeaveOut,
        Change::Double,
        Change::ExchangeWithNext,
        Change::Unwrap,
        Change::CutOff,
    ];
    changes.extend(DELIMITERS.map(Change::Wrap));
    changes
}

const DELIMITERS: [Delimiter; 4] =
    [Delimiter::Parenthesis, Delimiter::Brace, Delimiter::Bracket, Delimiter::None];

/// Nothing is wrong with what the mutants are made of, but for what is marked so.
#[test]
fn what_they_are_made_of_is_right() {
    for (attribute, options) in OPTIONS {
        let expanded = read(expand(attribute, tokens(options), tokens("async fn main() {}")));
        assert!(expanded.errors.is_empty(), "{options}: {:?}", expanded.errors);
    }
    for (wrong, item) in FUNCTIONS {
        let expanded = read(expand(Attribute::Thread, tokens(""), tokens(item)));
        assert_eq!(expanded.errors.len(), wrong, "{item}: {:?}", expanded.errors);
    }
}

/// One token of one function, or of one list of options.
#[test]
fn each_token_spoilt_in_each_plain_way() {
    for (attribute, options) in OPTIONS {
        for (_, item) in FUNCTIONS {
            try_one("none", attribute, tokens(options), tokens(item));
        }
        for at in 0..count(&tokens(options)) {
            for change in plain_changes() {
                let spoilt = spoil(tokens(options), &mut at.clone(), &change);
                try_one(at, attribute, spoilt, tokens(FUNCTIONS[0].1));
            }
        }
    }
    for attribute in [Attribute::Main, Attribute::Thread, Attribute::Test] {
        for (_, item) in FUNCTIONS {
            for at in 0..count(&tokens(item)) {
                for change in plain_changes() {
                    let spoilt = spoil(tokens(item), &mut at.clone(), &change);
                    try_one(at, attribute, tokens(""), spoilt);
                }
            }
        }
    }
}

/// A token that is left out, or written as something else, is one mistake, and told as one. One that is doubled or
/// exchanged may be two, as a comma in the wrong place is.
#[test]
fn one_token_is_one_mistake() {
    for (attribute, options) in OPTIONS {
        // Two of the others need `spawn`, if it is there.
        let first = usize::from(options.starts_with("spawn,"));
        for at in first..count(&tokens(options)) {
            let others =
                ["+", "x", "5", "'c'"].map(|other| tokens(other).into_iter().next().unwrap());
            let changes = others.map(Change::Replace).into_iter().chain([Change::LeaveOut]);
            for change in changes {
                let spoilt = spoil(tokens(options), &mut at.clone(), &change);
                let expanded =
                    read(expand(attribute, spoilt.clone(), tokens("async fn main() {}")));
                assert!(expanded.errors.len() <= 1, "{spoilt}: {:#?}", expanded.errors);
            }
        }
    }
}

/// Which of the mutants that are made at random are tried.
fn numbers() -> Range<u64> {
    let Ok(wanted) = std::env::var("LOOPBIND_MUTANTS") else { return 0..3_000 };
    let number =
        |text: &str| text.trim().parse().expect("LOOPBIND_MUTANTS is a number, or a range");
    match wanted.split_once("..") {
        Some((first, last)) => number(first)..number(last),
        None => 0..number(&wanted),
    }
}

fn any_change(dice: &mut Dice, strangers: &[TokenTree]) -> Change {
    let stranger = strangers[dice.roll(strangers.len())].clone();
    match dice.roll(10) {
        0..3 => Change::Replace(stranger),
        3..6 => Change::PutBefore(stranger),
        _ => {
            let mut plain = plain_changes();
            plain.swap_remove(dice.roll(plain.len()))
        }
    }
}

/// Several tokens at once, of both.
#[test]
fn some_tokens_spoilt_in_any_way() {
    let mut strangers: Vec<_> = tokens(STRANGERS).into_iter().collect();
    strangers.extend(FUNCTIONS.iter().flat_map(|(_, item)| tokens(item)));
    let mut functions = 0;
    for number in numbers() {
        let mut dice = Dice::new(number);
        let (attribute, options) = OPTIONS[dice.roll(OPTIONS.len())];
        let (mut options, mut item) =
            (tokens(options), tokens(FUNCTIONS[dice.roll(FUNCTIONS.len())].1));
        for _ in 0..dice.roll(4) {
            let at = dice.roll(count(&options));
            options = spoil(options, &mut at.clone(), &any_change(&mut dice, &strangers));
        }
        for _ in 0..dice.roll(4) {
            let at = dice.roll(count(&item));
            item = spoil(item, &mut at.clone(), &any_change(&mut dice, &strangers));
        }
        functions += usize::from(parse::function("attribute", item.clone()).is_ok());
        try_one(number, attribute, options, item);
    }
    assert!(functions * 4 > numbers().count(), "too few are functions: {functions}");
}
