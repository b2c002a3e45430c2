//! A run inside a run, where the tokens show it.
//!
//! Only what stands directly in the body's own braces is looked at: what is in a nested block may be a closure's, a thread's or
//! another function's, and what is in a macro's input may mean anything. The loop refuses at run time what this does not see.

use crate::errors::Errors;
use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};

/// Reports every `.run_until_complete(` and `.run_forever(` at brace depth 0 of the body of an `async fn`.
pub(crate) fn report(body: TokenStream, errors: &mut Errors) {
    let trees: Vec<TokenTree> = body.into_iter().collect();
    let mut index = 0;
    while index < trees.len() {
        if begins_closure(&trees, index) {
            index = end_of_closure(&trees, index);
            continue;
        }
        if is_macro_call(&trees, index) {
            // Its tokens may mean anything.
        } else if let Some(method) = run_method(&trees, index) {
            errors.at(method.span(), message(&method.to_string()));
        } else if let TokenTree::Group(group) = &trees[index] {
            if group.delimiter() != Delimiter::Brace {
                report(group.stream(), errors);
            }
        }
        index += 1;
    }
}

fn message(method: &str) -> String {
    let instead = if method == "run_forever" {
        "write `std::future::pending::<()>().await` to wait for ever"
    } else {
        "write `.await` after the future"
    };
    format!(
        "this `async fn` already runs on a loop, and `{method}` refuses to run a second one inside it: {instead}, \
         or give the attribute the option `allow_nested_run` if this is another method of that name"
    )
}

/// Whether the group at `index` is the input of a macro: `name!(..)`.
fn is_macro_call(trees: &[TokenTree], index: usize) -> bool {
    index >= 2
        && matches!(&trees[index], TokenTree::Group(_))
        && is_punctuation(&trees[index - 1], '!')
        && matches!(&trees[index - 2], TokenTree::Ident(name) if !is_keyword(name))
}

/// Whether a `|` here opens the parameters of a closure, rather than standing between two operands.
fn begins_closure(trees: &[TokenTree], index: usize) -> bool {
    if !is_punctuation(&trees[index], '|') {
        return false;
    }
    match index.checked_sub(1).map(|before| &trees[before]) {
        None => true,
        Some(TokenTree::Punct(before)) => !matches!(before.as_char(), '?' | '>' | '|'),
        Some(TokenTree::Ident(before)) => is_keyword(before),
        Some(TokenTree::Group(_) | TokenTree::Literal(_)) => false,
    }
}

/// Words after which an operand follows, so that a `|` is none between two of them.
fn is_keyword(word: &Ident) -> bool {
    const WORDS: [&str; 11] = [
        "async", "break", "else", "if", "in", "match", "move", "return", "static", "while", "yield",
    ];
    WORDS.iter().any(|keyword| word == keyword)
}

/// A closure reaches to the next `,` or `;` on its level.
fn end_of_closure(trees: &[TokenTree], start: usize) -> usize {
    let is_empty_list = matches!(&trees[start], TokenTree::Punct(bar) if bar.spacing() == Spacing::Joint)
        && trees.get(start + 1).is_some_and(|next| is_punctuation(next, '|'));
    let mut index = start + 1;
    if !is_empty_list {
        while index < trees.len() && !is_punctuation(&trees[index], '|') {
            index += 1;
        }
    }
    // Within `::<..>`, a comma stands between two types.
    let mut depth = 0_usize;
    while let Some(tree) = trees.get(index) {
        let follows = |mark| index >= 1 && is_punctuation(&trees[index - 1], mark);
        if is_punctuation(tree, '<') && (depth > 0 || follows(':')) {
            depth += 1;
        } else if is_punctuation(tree, '>') && !follows('-') {
            depth = depth.saturating_sub(1);
        } else if is_punctuation(tree, ';') || depth == 0 && is_punctuation(tree, ',') {
            break;
        }
        index += 1;
    }
    index
}

/// The name of the method, where one that runs a loop is called: `.run_forever(` or, with its type, `.run_until_complete::<F>(`.
fn run_method(trees: &[TokenTree], index: usize) -> Option<&Ident> {
    let TokenTree::Ident(method) = &trees[index] else {
        return None;
    };
    if method != "run_until_complete" && method != "run_forever" {
        return None;
    }
    let is_method = index >= 1
        && is_punctuation(&trees[index - 1], '.')
        && !(index >= 2 && is_punctuation(&trees[index - 2], '.'));
    let is_called = match trees.get(index + 1) {
        Some(TokenTree::Group(arguments)) => arguments.delimiter() == Delimiter::Parenthesis,
        Some(next) => is_punctuation(next, ':'),
        None => false,
    };
    (is_method && is_called).then_some(method)
}

fn is_punctuation(tree: &TokenTree, wanted: char) -> bool {
    matches!(tree, TokenTree::Punct(found) if found.as_char() == wanted)
}

#[cfg(test)]
mod tests {
    use super::report;
    use crate::errors::Errors;

    fn found(body: &str) -> usize {
        let mut errors = Errors::default();
        report(body.parse().expect("tokens"), &mut errors);
        errors.into_tokens().to_string().matches("compile_error").count()
    }

    #[test]
    fn a_run_in_the_bodys_own_braces_is_seen() {
        assert_eq!(found("event_loop.run_until_complete(work()).unwrap();"), 1);
        assert_eq!(found("get()?.run_forever()"), 1);
        assert_eq!(found("let a = (x.run_forever(), [y.run_forever()]);"), 2);
        assert_eq!(found("x.run_until_complete::<F>(f)"), 1);
        assert_eq!(found("let bits = a | b; x.run_forever()"), 1);
        assert_eq!(found("run(a || b, x.run_forever())"), 1);
        assert_eq!(found("if !(x.run_forever()).is_ok() {}"), 1);
        assert_eq!(found("call(|| 1, x.run_forever())"), 1);
        assert_eq!(found("call(|| a::<u8, Vec<u8>>() < 1, x.run_forever())"), 1);
        assert_eq!(found("call(|| a < b, x.run_forever())"), 1);
        assert_eq!(found("f(x?) | y.run_forever()"), 1);
        assert_eq!(found("assert!(true); x.run_forever()"), 1);
        assert_eq!(found("get!().run_forever()"), 1);
    }

    #[test]
    fn a_run_elsewhere_is_not() {
        assert_eq!(found("thread::spawn(move || x.run_forever());"), 0);
        assert_eq!(found("let f = |x: L| x.run_forever(); f(y);"), 0);
        assert_eq!(found("call(|a, b| a.run_forever())"), 0);
        assert_eq!(found("let f = |x: L| conv::<u8, fn() -> u8, u8>(x, 1).run_forever();"), 0);
        assert_eq!(found("if early { x.run_forever() }"), 0);
        assert_eq!(found("fn inner(x: L) { x.run_forever() }"), 0);
        assert_eq!(found("assert!(x.run_forever().is_err());"), 0);
        assert_eq!(found("x.run_forever; y.running()"), 0);
        assert_eq!(found("run_forever(x); Loop::run_forever(x)"), 0);
        assert_eq!(found("\"x.run_forever()\""), 0);
        assert_eq!(found("matches!{x.run_forever()}"), 0);
    }
}
