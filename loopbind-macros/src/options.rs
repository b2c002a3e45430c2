//! The options between the parentheses of an attribute: which exist, where, and what their values look like.
//!
//! Every option is read to its end even after a mistake, so that one compilation tells all of them.

use crate::errors::Errors;
use crate::model::Attribute;
use crate::{parse, values};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use std::time::Duration;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::parse::discouraged::Speculative;
use syn::{Expr, Path, Token, token};

/// An option that some attribute has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    Spawn,
    VirtualTime,
    Seed,
    Seeds,
    Timeout,
    Name,
    StackSize,
    Core,
    Debug,
    Spin,
    CtrlC,
    Host,
    AllowNestedRun,
    Crate,
    Builder,
}

impl Known {
    const ALL: [Known; 15] = [
        Known::Spawn,
        Known::VirtualTime,
        Known::Seed,
        Known::Seeds,
        Known::Timeout,
        Known::Name,
        Known::StackSize,
        Known::Core,
        Known::Debug,
        Known::Spin,
        Known::CtrlC,
        Known::Host,
        Known::AllowNestedRun,
        Known::Crate,
        Known::Builder,
    ];

    /// As it is written.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Known::Spawn => "spawn",
            Known::VirtualTime => "virtual_time",
            Known::Seed => "seed",
            Known::Seeds => "seeds",
            Known::Timeout => "timeout",
            Known::Name => "name",
            Known::StackSize => "stack_size",
            Known::Core => "core",
            Known::Debug => "debug",
            Known::Spin => "spin",
            Known::CtrlC => "ctrl_c",
            Known::Host => "host",
            Known::AllowNestedRun => "allow_nested_run",
            Known::Crate => "crate",
            Known::Builder => "builder",
        }
    }

    /// As an error shows it: with the shape of its value.
    pub(crate) fn usage(self) -> &'static str {
        match self {
            Known::Spawn => "spawn",
            Known::VirtualTime => "virtual_time",
            Known::Seed => "seed = 7",
            Known::Seeds => "seeds = 0..64",
            Known::Timeout => "timeout = \"5s\"",
            Known::Name => "name = \"ui\"",
            Known::StackSize => "stack_size = 1 << 20",
            Known::Core => "core = 0",
            Known::Debug => "debug",
            Known::Spin => "spin = \"50us\"",
            Known::CtrlC => "ctrl_c = \"cancel\"",
            Known::Host => "host = \"tokio\"",
            Known::AllowNestedRun => "allow_nested_run",
            Known::Crate => "crate = path::to::loopbind",
            Known::Builder => "builder = EventLoop::builder()",
        }
    }

    fn named(key: &str) -> Option<Known> {
        Known::ALL.into_iter().find(|known| known.key() == key)
    }

    /// The method of `Setup` that takes its value.
    pub(crate) fn method(self) -> &'static str {
        match self {
            // Their values choose the method.
            Known::CtrlC => "ctrl_c_cancels",
            Known::Host => "host_tokio",
            _ => self.key(),
        }
    }

    /// The one attribute that has it, or none where all of them do.
    fn owner(self) -> Option<Attribute> {
        match self {
            Known::Name
            | Known::Debug
            | Known::Spin
            | Known::Host
            | Known::AllowNestedRun
            | Known::Crate
            | Known::Builder => None,
            Known::CtrlC => Some(Attribute::Main),
            Known::Spawn | Known::StackSize | Known::Core => Some(Attribute::Thread),
            Known::VirtualTime | Known::Seed | Known::Seeds | Known::Timeout => {
                Some(Attribute::Test)
            }
        }
    }

    fn shape(self) -> Shape {
        match self {
            Known::Spawn | Known::VirtualTime | Known::AllowNestedRun => Shape::Flag,
            Known::Debug => Shape::FlagOrExpression,
            Known::Crate => Shape::Path,
            _ => Shape::Expression,
        }
    }
}

/// What may follow the key of an option.
#[derive(PartialEq, Eq)]
enum Shape {
    Flag,
    FlagOrExpression,
    Expression,
    Path,
}

/// What did follow it.
pub(crate) enum Value {
    Nothing,
    Tokens(TokenStream),
    Time(Duration),
}

/// One option that was given and understood.
pub(crate) struct Given {
    pub(crate) known: Known,
    /// Where the key stands.
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// All options that were understood; what was not is in `errors`.
pub(crate) fn parse(attribute: Attribute, tokens: TokenStream, errors: &mut Errors) -> Vec<Given> {
    let mut given: Vec<Given> = Vec::new();
    let mut seen: Vec<Known> = Vec::new();
    let read = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let told = errors.count();
            given.extend(option(attribute, input, &mut seen, errors));
            if errors.count() > told {
                // What is left of it is no mistake of its own.
                skip(input);
            }
            separator(input, errors);
        }
        Ok(())
    };
    if let Err(error) = parse::whole(tokens, read) {
        errors.push(error);
    }
    given
}

fn option(
    attribute: Attribute,
    input: ParseStream<'_>,
    seen: &mut Vec<Known>,
    errors: &mut Errors,
) -> Option<Given> {
    let Ok(key) = input.call(Ident::parse_any) else {
        errors.at(input.span(), format!("expected an option; {}", takes(attribute)));
        return None;
    };
    let written = key.to_string();
    let Some(known) = Known::named(&written) else {
        errors.at(key.span(), format!("unknown option `{written}`; {}", takes(attribute)));
        return None;
    };
    if let Some(owner) = known.owner().filter(|owner| *owner != attribute) {
        errors.at(
            key.span(),
            format!(
                "`{written}` is an option of `{}`, not of `{}`; {}",
                owner.name(),
                attribute.name(),
                takes(attribute)
            ),
        );
        return None;
    }
    let twice = seen.contains(&known);
    if twice {
        errors.at(key.span(), format!("`{written}` is given twice: keep one of them"));
    } else {
        seen.push(known);
    }
    let value = match value(known, &key, input, errors) {
        // What its value would be is clear, and without it the function would return another type.
        None if known == Known::Spawn => Value::Nothing,
        value => value?,
    };
    (!twice).then_some(Given { known, span: key.span(), value })
}

fn value(known: Known, key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> Option<Value> {
    let shape = known.shape();
    if input.peek(token::Paren) || input.peek(token::Brace) || input.peek(token::Bracket) {
        let message = match shape {
            Shape::Flag => format!("`{key}` takes no value: write `{}`", known.usage()),
            _ => format!("a value follows `=`: write `{}`", known.usage()),
        };
        errors.at(input.span(), message);
        return None;
    }
    let Ok(equals) = input.parse::<Token![=]>() else {
        if matches!(shape, Shape::Flag | Shape::FlagOrExpression) {
            return Some(Value::Nothing);
        }
        errors.at(key.span(), format!("`{key}` takes a value: write `{}`", known.usage()));
        return None;
    };
    if shape == Shape::Flag {
        errors.at(equals.span, format!("`{key}` takes no value: write `{}`", known.usage()));
        return None;
    }
    if input.is_empty() || input.peek(Token![,]) {
        errors
            .at(equals.span, format!("the value of `{key}` is missing: write `{}`", known.usage()));
        return None;
    }
    if shape == Shape::Path {
        return path(known, input, errors);
    }
    // On a copy, so that what is left over in some parentheses behind the mistake is not told as another one.
    let ahead = input.fork();
    match ahead.parse::<Expr>() {
        Ok(expression) => {
            input.advance_to(&ahead);
            values::check(known, expression, errors)
        }
        Err(error) => {
            errors.push(error);
            None
        }
    }
}

fn path(known: Known, input: ParseStream<'_>, errors: &mut Errors) -> Option<Value> {
    let start = input.span();
    match input.call(Path::parse_mod_style) {
        Ok(path) if input.is_empty() || input.peek(Token![,]) => {
            if let Some(of_type) = path.segments.iter().find(|segment| segment.ident == "Self") {
                errors.over(
                    of_type,
                    format!(
                        "`{}` takes the path of a module, and `Self` is a type: write `{}`",
                        known.key(),
                        known.usage()
                    ),
                );
                return None;
            }
            Some(Value::Tokens(path.into_token_stream()))
        }
        _ => {
            errors.at(
                if input.is_empty() { start } else { input.span() },
                format!(
                    "`{}` takes a path, without quotes: write `{}`",
                    known.key(),
                    known.usage()
                ),
            );
            None
        }
    }
}

/// What stands between two options.
fn separator(input: ParseStream<'_>, errors: &mut Errors) {
    if input.is_empty() || input.parse::<Token![,]>().is_ok() {
        return;
    }
    errors.at(input.span(), "expected `,` between two options");
    // The name of an option is taken for the next one; anything else would only cause more errors.
    let next = input.fork().call(Ident::parse_any);
    if next.is_ok_and(|word| Known::named(&word.to_string()).is_some()) {
        return;
    }
    skip(input);
    let _: syn::Result<Token![,]> = input.parse();
}

/// To the next comma, which stays.
fn skip(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        let _: syn::Result<TokenTree> = input.parse();
    }
}

/// The list of what exists.
fn takes(attribute: Attribute) -> String {
    let options: Vec<String> = Known::ALL
        .into_iter()
        .filter(|known| known.owner().is_none_or(|owner| owner == attribute))
        .map(|known| format!("`{}`", known.usage()))
        .collect();
    format!("`{}` takes {}", attribute.name(), options.join(", "))
}
