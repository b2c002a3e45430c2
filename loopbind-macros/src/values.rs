//! The values of options: what a literal of the wrong kind is told before rustc sees it.
//!
//! An expression that is no literal goes through as it is; its type is checked by the method of `Setup` that takes it, at its own tokens.

use crate::errors::Errors;
use crate::options::{Known, Value};
use quote::ToTokens;
use std::time::Duration;
use syn::{Expr, Lit, RangeLimits, UnOp};

/// The tokens of a value that may be right, or none and an error for one that cannot be.
pub(crate) fn check(known: Known, value: Expr, errors: &mut Errors) -> Option<Value> {
    let wrong = match known {
        Known::Name => name(&value),
        Known::Debug => {
            kind_of(&value).is_some_and(|kind| !matches!(kind, Kind::Bool)).then(|| {
                "`debug` takes a bool: write `debug` or `debug = cfg!(debug_assertions)`".to_owned()
            })
        }
        Known::StackSize => whole_number(&value, "usize", usize::MAX as u64)
            .map(|reason| format!("`stack_size` takes a number of bytes, {reason}")),
        Known::Core => whole_number(&value, "usize", usize::MAX as u64)
            .map(|reason| format!("`core` takes the index of a processor core, {reason}")),
        Known::Seed => whole_number(&value, "u64", u64::MAX)
            .map(|reason| format!("`seed` takes a number, {reason}")),
        Known::Seeds => return seeds(value, errors),
        Known::Timeout => return time(value, TIMEOUT, Least::Some, errors),
        Known::Spin => return time(value, SPIN, Least::None, errors),
        Known::CtrlC => return ctrl_c(value, errors),
        Known::Host => return host(value, errors),
        Known::Builder => kind_of(&value).map(|_| {
            "`builder` takes a `loopbind::Builder`: write `builder = EventLoop::builder()`"
                .to_owned()
        }),
        Known::Spawn | Known::VirtualTime | Known::AllowNestedRun | Known::Crate => None,
    };
    match wrong {
        Some(message) => {
            errors.over(value, message);
            None
        }
        None => Some(tokens(value)),
    }
}

fn tokens(value: Expr) -> Value {
    Value::Tokens(value.into_token_stream())
}

/// The kinds of literal that differ for some option.
enum Kind<'a> {
    Text(&'a syn::LitStr),
    Char,
    Whole(&'a syn::LitInt),
    Negative,
    Bool,
    Other,
}

fn kind_of(value: &Expr) -> Option<Kind<'_>> {
    match value {
        Expr::Group(group) => kind_of(&group.expr),
        Expr::Paren(paren) => kind_of(&paren.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            kind_of(&unary.expr).map(|_| Kind::Negative)
        }
        Expr::Lit(literal) => Some(match &literal.lit {
            Lit::Str(text) => Kind::Text(text),
            Lit::Char(_) => Kind::Char,
            Lit::Int(number) => Kind::Whole(number),
            Lit::Bool(_) => Kind::Bool,
            _ => Kind::Other,
        }),
        _ => None,
    }
}

fn name(value: &Expr) -> Option<String> {
    match kind_of(value)? {
        Kind::Text(text) if text.value().contains('\0') => {
            Some("a name cannot hold a zero byte: the operating system ends it there".to_owned())
        }
        Kind::Text(_) | Kind::Char => None,
        _ => Some("`name` takes a string: write `name = \"ui\"`".to_owned()),
    }
}

/// What is wrong with a literal where a number of type `wanted` is due.
fn whole_number(value: &Expr, wanted: &str, largest: u64) -> Option<String> {
    match kind_of(value)? {
        Kind::Whole(number) => {
            if !number.suffix().is_empty() && number.suffix() != wanted {
                return Some(format!("of type `{wanted}`, not `{}`", number.suffix()));
            }
            match number.base10_parse::<u64>() {
                Ok(number) if number <= largest => None,
                _ => Some(format!("of type `{wanted}`, and this one does not fit")),
            }
        }
        Kind::Negative => Some("and none below zero".to_owned()),
        _ => Some(format!("of type `{wanted}`")),
    }
}

fn seeds(value: Expr, errors: &mut Errors) -> Option<Value> {
    const USAGE: &str = "`seeds` takes a range of numbers: write `seeds = 0..64`";
    let mut inside = &value;
    while let Expr::Paren(syn::ExprParen { expr, .. }) | Expr::Group(syn::ExprGroup { expr, .. }) =
        inside
    {
        inside = expr;
    }
    let Expr::Range(range) = inside else {
        if kind_of(&value).is_some() {
            errors.over(value, format!("{USAGE}; for one of them, `seed = 7`"));
            return None;
        }
        return Some(tokens(value));
    };
    let (Some(start), Some(end)) = (&range.start, &range.end) else {
        errors.over(&value, format!("{USAGE}, with both of its ends"));
        return None;
    };
    if let RangeLimits::Closed(limits) = &range.limits {
        errors.over(limits, format!("{USAGE}, with `..` (the end is not part of it)"));
        return None;
    }
    let mut sound = true;
    for limit in [start, end] {
        if let Some(reason) = whole_number(limit, "u64", u64::MAX) {
            errors.over(limit, format!("{USAGE}, {reason}"));
            sound = false;
        }
    }
    if !sound {
        return None;
    }
    let number = |limit| match kind_of(limit) {
        Some(Kind::Whole(number)) => number.base10_parse::<u64>().ok(),
        _ => None,
    };
    if number(start).zip(number(end)).is_some_and(|(start, end)| start >= end) {
        errors.over(&value, "there is no seed in this range: the test would never run");
        return None;
    }
    Some(tokens(value))
}

const TIMEOUT: &str = "`timeout` takes a string such as \"250ms\", \"5s\" or \"2m\", or an expression of type `Duration`";
const SPIN: &str = "`spin` takes a string such as \"50us\", or an expression of type `Duration`";

/// What a time has to be.
#[derive(PartialEq, Eq)]
enum Least {
    None,
    Some,
}

fn time(value: Expr, usage: &str, least: Least, errors: &mut Errors) -> Option<Value> {
    match kind_of(&value) {
        None => Some(tokens(value)),
        Some(Kind::Text(text)) => match duration(&text.value()) {
            Ok(limit) if least == Least::Some && limit.is_zero() => {
                errors.over(value, format!("no test ends in no time: {usage}"));
                None
            }
            Ok(limit) => Some(Value::Time(limit)),
            Err(reason) => {
                errors.over(value, format!("{reason}: {usage}"));
                None
            }
        },
        Some(_) => {
            errors.over(value, usage);
            None
        }
    }
}

/// The one thing that a Ctrl-C can be made to do.
fn ctrl_c(value: Expr, errors: &mut Errors) -> Option<Value> {
    const USAGE: &str = "there is `ctrl_c = \"cancel\"`: the first Ctrl-C cancels the body, the second ends the process";
    let message = match kind_of(&value) {
        Some(Kind::Text(text)) if text.value() == "cancel" => return Some(Value::Nothing),
        Some(Kind::Text(text)) => format!("`ctrl_c` knows no \"{}\": {USAGE}", text.value()),
        _ => format!("`ctrl_c` takes a word in quotes, as it stands: {USAGE}"),
    };
    errors.over(value, message);
    None
}

/// The one host that there is. It needs a feature: without it, what the expansion calls is not there.
fn host(value: Expr, errors: &mut Errors) -> Option<Value> {
    const USAGE: &str = "there is `host = \"tokio\"`: the loop is a guest of tokio's runtime on the same thread, and libraries made for tokio work in its tasks";
    let message = match kind_of(&value) {
        Some(Kind::Text(text)) if text.value() == "tokio" => {
            if cfg!(feature = "tokio") {
                return Some(Value::Nothing);
            }
            "`host = \"tokio\"` needs the feature `tokio` of the crate `loopbind`: write `loopbind = { version = \"..\", features = [\"tokio\"] }` in Cargo.toml".to_owned()
        }
        Some(Kind::Text(text)) => format!("`host` knows no \"{}\": {USAGE}", text.value()),
        _ => format!("`host` takes a word in quotes, as it stands: {USAGE}"),
    };
    errors.over(value, message);
    None
}

/// Reads "250ms": a whole number and its unit.
fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(format!("\"{text}\" does not start with a whole number"));
    }
    let too_long = || format!("\"{text}\" is too long a time");
    let number: u64 = digits.parse().map_err(|_| too_long())?;
    let seconds =
        |seconds: u64| number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(too_long);
    match unit {
        "ns" => Ok(Duration::from_nanos(number)),
        "us" | "µs" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" | "min" => seconds(60),
        "h" => seconds(3600),
        "" => Err(format!("\"{text}\" has no unit")),
        _ => Err(format!("`{unit}` is no unit of time")),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        assert_eq!(duration("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(duration("20us"), Ok(Duration::from_micros(20)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("0us"), Ok(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_told_what_it_lacks() {
        let told = |text| duration(text).expect_err(text);
        assert_eq!(told(""), "\"\" does not start with a whole number");
        assert_eq!(told("-5s"), "\"-5s\" does not start with a whole number");
        assert_eq!(told("5"), "\"5\" has no unit");
        assert_eq!(told("5 s"), "` s` is no unit of time");
        assert_eq!(told("1.5s"), "`.5s` is no unit of time");
        assert_eq!(told("99999999999999999999s"), "\"99999999999999999999s\" is too long a time");
        assert_eq!(told("18446744073709551615h"), "\"18446744073709551615h\" is too long a time");
    }
}
