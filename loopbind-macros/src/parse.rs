//! From tokens to a function: the signature is parsed, the body is not.
//!
//! A body goes through untouched, so that an error inside it is rustc's own, at the user's own tokens, and syntax that only a
//! newer compiler knows still works in it.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Signature, Token, Visibility, parenthesized};

/// A function as it was written.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Body,
}

/// What follows the signature.
pub(crate) enum Body {
    /// The tokens between braces, braces included.
    Block(Group),
    /// A method of a trait that leaves the body to others.
    Missing(Token![;]),
}

/// Parses a function; the error says, for an item that is none, what the attribute wants.
pub(crate) fn function(attribute: &str, item: TokenStream) -> syn::Result<Function> {
    whole(item, |input| parts(attribute, input))
}

fn parts(attribute: &str, input: ParseStream<'_>) -> syn::Result<Function> {
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility = input.parse()?;
    if !begins_function(input) {
        return Err(input.error(format!("`#[{attribute}]` goes on a function: `async fn` or `fn`")));
    }
    let signature = input.parse()?;
    let body = body(input)?;
    Ok(Function { attributes, visibility, signature, body })
}

/// Parses all of `tokens`. Where something is missing at the end, that is said of the last of them, and not of the attribute
/// as a whole: they are parsed as if in parentheses, the closing of which stands there.
pub(crate) fn whole<T>(
    tokens: TokenStream,
    parts: impl FnOnce(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<T> {
    let end = tokens.clone().into_iter().last().map_or_else(Span::call_site, |last| last.span());
    let mut group = Group::new(Delimiter::Parenthesis, tokens);
    group.set_span(end);
    let read = |input: ParseStream<'_>| {
        let inside;
        parenthesized!(inside in input);
        parts(&inside)
    };
    read.parse2(TokenTree::Group(group).into())
}

fn begins_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    while ahead.peek(Token![const])
        || ahead.peek(Token![async])
        || ahead.peek(Token![unsafe])
        || ahead.peek(Token![extern])
        || ahead.peek(syn::LitStr)
    {
        // Each of these is one token, so that skipping it cannot fail.
        let _: syn::Result<TokenTree> = ahead.parse();
    }
    ahead.peek(Token![fn])
}

fn body(input: ParseStream<'_>) -> syn::Result<Body> {
    if input.peek(Token![;]) {
        return input.parse().map(Body::Missing);
    }
    let tree: TokenTree = input.parse()?;
    braces(&tree).map(Body::Block).ok_or_else(|| {
        syn::Error::new_spanned(tree, "expected the body of the function, in braces")
    })
}

/// The brace group itself, or the one that a `$body:block` of `macro_rules!` wraps in an invisible group.
fn braces(tree: &TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = tree else {
        return None;
    };
    match group.delimiter() {
        Delimiter::Brace => Some(group.clone()),
        Delimiter::None => {
            let mut inside = group.stream().into_iter();
            let found = braces(&inside.next()?)?;
            inside.next().is_none().then_some(found)
        }
        _ => None,
    }
}

impl ToTokens for Body {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Body::Block(group) => group.to_tokens(tokens),
            Body::Missing(semicolon) => semicolon.to_tokens(tokens),
        }
    }
}
