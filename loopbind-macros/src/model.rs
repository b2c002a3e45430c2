//! What was asked for: options and function together, checked against each other.

use crate::errors::Errors;
use crate::nested;
use crate::options::{Given, Known, Value};
use crate::parse::{Body, Function};
use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::{FnArg, ReceiverKind, Safety, Signature, Type};

/// Which of the three was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Main,
    Thread,
    Test,
}

impl Attribute {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Attribute::Main => "loop_main",
            Attribute::Thread => "loop_thread",
            Attribute::Test => "loop_test",
        }
    }
}

/// Where the loop runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    CallingThread,
    NewThread,
}

/// How the user's body comes to stand in the expansion.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As a function inside the function: every message about it is that of a plain one.
    InnerFunction,
    /// As a closure, which alone sees `self` and `Self`.
    Closure,
    /// Not at all: the signature cannot work, and an error says so.
    Placeholder,
}

/// Everything the expansion needs.
pub(crate) struct Model {
    pub(crate) attribute: Attribute,
    /// The path of the crate `loopbind`.
    pub(crate) home: TokenStream,
    /// What `Setup` is told, in the order of writing.
    pub(crate) settings: Vec<Given>,
    pub(crate) place: Place,
    pub(crate) form: Form,
    pub(crate) function: Function,
}

impl Model {
    pub(crate) fn new(
        attribute: Attribute,
        given: Vec<Given>,
        function: Function,
        errors: &mut Errors,
    ) -> Model {
        let has = |known| given.iter().any(|option| option.known == known);
        let place = if has(Known::Spawn) { Place::NewThread } else { Place::CallingThread };
        let allows_nested_run = has(Known::AllowNestedRun);
        let home = given
            .iter()
            .find_map(|option| match (&option.value, option.known) {
                (Value::Tokens(path), Known::Crate) => Some(path.clone()),
                _ => None,
            })
            .unwrap_or_else(|| quote_spanned!(Span::mixed_site()=> ::loopbind));
        let is_async = function.signature.asyncness.is_some();
        let settings = settings(given, place, is_async, errors);
        let form = form(attribute, place, &function, errors);
        if let Body::Block(body) = &function.body {
            if is_async && !allows_nested_run {
                nested::report(body.stream(), errors);
            }
        }
        Model { attribute, home, settings, place, form, function }
    }

    pub(crate) fn has(&self, known: Known) -> bool {
        self.settings.iter().any(|option| option.known == known)
    }
}

/// The options that go to `Setup`, without those that contradict another one.
fn settings(given: Vec<Given>, place: Place, is_async: bool, errors: &mut Errors) -> Vec<Given> {
    let mut settings: Vec<Given> = Vec::new();
    for option in given {
        match option.known {
            Known::Spawn | Known::Crate | Known::AllowNestedRun => continue,
            Known::StackSize | Known::Core if place == Place::CallingThread => {
                errors.at(
                    option.span,
                    format!(
                        "`{}` is for a thread that the attribute starts: write `spawn` as well, or set it where this thread is made",
                        option.known.key()
                    ),
                );
                continue;
            }
            Known::CtrlC if !is_async => {
                errors.at(
                    option.span,
                    "`ctrl_c` cancels the body of an `async fn`, and a plain `fn` cannot be cancelled: write `async fn`, or await `loopbind::signal::ctrl_c()` in what this one runs",
                );
                continue;
            }
            Known::Host | Known::VirtualTime
                if settings
                    .iter()
                    .any(|before| matches!(before.known, Known::Host | Known::VirtualTime)) =>
            {
                errors.at(
                    option.span,
                    "tokio's timers and sockets go by the real clock, and under `virtual_time` the loop would not wait for them: keep one of `host` and `virtual_time`",
                );
                continue;
            }
            Known::Seed | Known::Seeds
                if settings
                    .iter()
                    .any(|before| matches!(before.known, Known::Seed | Known::Seeds)) =>
            {
                errors.at(
                    option.span,
                    "`seed` runs the test once and `seeds` once for each: keep one of the two",
                );
                continue;
            }
            _ => settings.push(option),
        }
    }
    settings
}

/// How many arguments may have a `#[cfg]`: each doubles the number of calls in the expansion.
const MOST_OPTIONAL: usize = 4;

fn form(attribute: Attribute, place: Place, function: &Function, errors: &mut Errors) -> Form {
    let signature = &function.signature;
    let name = attribute.name();
    let mut works = true;
    if let Some(constness) = &signature.constness {
        errors.at(
            constness.span,
            format!("`#[{name}]` makes a loop, which a `const fn` cannot: remove `const`"),
        );
        works = false;
    }
    if let Some(variadic) = &signature.variadic {
        errors.over(
            variadic.dots,
            format!("`#[{name}]` cannot pass on arguments it does not know: name them, or put the attribute on a function that this one calls"),
        );
        works = false;
    }
    if let Body::Missing(semicolon) = &function.body {
        errors.at(
            semicolon.span,
            format!("`#[{name}]` needs a body to run: put it on the function of the `impl`, here declare a plain `fn`"),
        );
        works = false;
    }
    let mut optional = signature.inputs.iter().filter_map(|argument| match argument {
        FnArg::Typed(argument) => {
            argument.attrs.iter().find(|attribute| attribute.path().is_ident("cfg"))
        }
        FnArg::Receiver(_) => None,
    });
    if let Some(attribute) = optional.nth(MOST_OPTIONAL) {
        errors.over(
            attribute,
            format!("`#[{name}]` passes on at most {MOST_OPTIONAL} arguments that a `#[cfg]` may take away: put the `#[cfg]` on the function"),
        );
        works = false;
    }
    if place == Place::NewThread {
        works &= all_can_move(signature, errors);
    }
    match signature.receiver() {
        Some(receiver) if attribute != Attribute::Thread => {
            errors.at(
                receiver.self_token.span,
                format!("`#[{name}]` is for functions without a receiver; methods can have `#[loop_thread]`"),
            );
            works = false;
        }
        _ => {}
    }
    if !works {
        return Form::Placeholder;
    }
    let Body::Block(body) = &function.body else {
        return Form::Placeholder;
    };
    // No test stands in an `impl`: what looks like its `Self` belongs to an item in its body.
    if attribute != Attribute::Test
        && (signature.receiver().is_some()
            || mentions_self(signature.to_token_stream())
            || uses_self(body.stream()))
    {
        Form::Closure
    } else {
        Form::InnerFunction
    }
}

/// Arguments that borrow from the caller cannot go to another thread; where that shows in the type, it is said there.
fn all_can_move(signature: &Signature, errors: &mut Errors) -> bool {
    let mut work = true;
    for argument in &signature.inputs {
        let (token, lifetime) = match argument {
            FnArg::Receiver(receiver) => match &receiver.kind {
                ReceiverKind::Reference(token, lifetime, _) => (token, lifetime),
                _ => continue,
            },
            FnArg::Typed(argument) => match peel(&argument.ty) {
                Type::Reference(reference) => (&reference.and_token, &reference.lifetime),
                _ => continue,
            },
        };
        let guilty = match lifetime {
            Some(lifetime) if lifetime.ident == "static" => continue,
            Some(lifetime) => lifetime.span(),
            None => token.spans[0],
        };
        errors.at(
            guilty,
            "with `spawn`, arguments move to another thread, and a reference does not live that long: \
             take a value (`String` for `&str`), an `Arc`, or a `&'static` reference",
        );
        work = false;
    }
    work
}

fn peel(mut wrapped: &Type) -> &Type {
    while let Type::Group(syn::TypeGroup { elem, .. }) | Type::Paren(syn::TypeParen { elem, .. }) =
        wrapped
    {
        wrapped = elem;
    }
    wrapped
}

/// Whether `Self` stands anywhere.
fn mentions_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Ident(word) => word == "Self",
        TokenTree::Group(group) => mentions_self(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether a body means the `Self` around it; an item inside the body has one of its own.
fn uses_self(body: TokenStream) -> bool {
    let mut in_item = false;
    for tree in body {
        match tree {
            TokenTree::Ident(word) if word == "Self" && !in_item => return true,
            TokenTree::Ident(word) => in_item |= opens_item(&word),
            TokenTree::Punct(mark) if matches!(mark.as_char(), ';' | '=') => in_item = false,
            TokenTree::Group(group) if in_item => {
                in_item = group.delimiter() != Delimiter::Brace;
            }
            TokenTree::Group(group) if uses_self(group.stream()) => return true,
            TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    false
}

fn opens_item(word: &Ident) -> bool {
    ["impl", "trait", "struct", "enum"].iter().any(|keyword| word == keyword)
}

/// Whether it is `()`, which need not be written.
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The name as it was spoken: `type` for `r#type`.
pub(crate) fn plain_name(signature: &Signature) -> String {
    let written = signature.ident.to_string();
    written.strip_prefix("r#").map_or(written.clone(), str::to_owned)
}

pub(crate) fn is_unsafe(signature: &Signature) -> bool {
    matches!(signature.safety, Safety::Unsafe(_))
}
