//! `macro_rules!` as far as the runtime's go: a fragment takes what stands before the next token of its rule, and
//! repetitions are marked by their end or their separator.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

type Tokens = Vec<TokenTree>;

/// What a rule's variables stand for.
#[derive(Clone, Debug)]
enum Bound {
    One(Tokens),
    /// A round of a repetition each.
    Many(Vec<BTreeMap<String, Bound>>),
}

type Bindings = BTreeMap<String, Bound>;

/// What `name!(arguments)` becomes by the first of the `rules` that fits.
pub(crate) fn expand(rules: TokenStream, arguments: TokenStream) -> Option<TokenStream> {
    let rules: Tokens = rules.into_iter().collect();
    let arguments: Tokens = arguments.into_iter().collect();
    rules.split(|token| is(token, ';')).find_map(|rule| {
        let [TokenTree::Group(pattern), .., TokenTree::Group(body)] = rule else { return None };
        let pattern: Tokens = pattern.stream().into_iter().collect();
        let mut bindings = Bindings::new();
        let rest = fit(&pattern, &arguments, &mut bindings)?;
        rest.is_empty().then(|| fill(&body.stream().into_iter().collect::<Tokens>(), &bindings))
    })
}

fn is(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

/// Binds a pattern to the front of `input`, and gives what is left of it.
fn fit<'a>(
    pattern: &[TokenTree],
    input: &'a [TokenTree],
    bindings: &mut Bindings,
) -> Option<&'a [TokenTree]> {
    match pattern {
        [] => Some(input),
        // $name:kind
        [dollar, TokenTree::Ident(name), colon, _, rest @ ..]
            if is(dollar, '$') && is(colon, ':') =>
        {
            let end = rest.first().map_or(input.len(), |stop| {
                let same = |token: &TokenTree| token.to_string() == stop.to_string();
                input.iter().position(same).unwrap_or(input.len())
            });
            if end == 0 {
                return None;
            }
            // A name is one token; what follows it is told apart by that.
            let end = if pattern[3].to_string() == "ident" { 1 } else { end };
            let taken = TokenStream::from_iter(input[..end].iter().cloned());
            if pattern[3].to_string() == "ty" && syn::parse2::<syn::Type>(taken).is_err() {
                return None;
            }
            bindings.insert(name.to_string(), Bound::One(input[..end].to_vec()));
            fit(rest, &input[end..], bindings)
        }
        // $( ... )*
        [dollar, TokenTree::Group(group), star, rest @ ..] if is(dollar, '$') && is(star, '*') => {
            let inner: Tokens = group.stream().into_iter().collect();
            let (mut rounds, mut left) = (Vec::new(), input);
            loop {
                let mut round = Bindings::new();
                match fit(&inner, left, &mut round) {
                    Some(after) if after.len() < left.len() => left = after,
                    _ => break,
                }
                rounds.push(round);
            }
            // All variables of a repetition are found by each of their names.
            for name in names(&inner) {
                bindings.insert(name, Bound::Many(rounds.clone()));
            }
            fit(rest, left, bindings)
        }
        [TokenTree::Group(group), rest @ ..] => {
            let [TokenTree::Group(given), left @ ..] = input else { return None };
            if given.delimiter() != group.delimiter() {
                return None;
            }
            let inner: Tokens = group.stream().into_iter().collect();
            let given: Tokens = given.stream().into_iter().collect();
            fit(&inner, &given, bindings)?.is_empty().then_some(())?;
            fit(rest, left, bindings)
        }
        [token, rest @ ..] => {
            let [first, left @ ..] = input else { return None };
            (first.to_string() == token.to_string()).then_some(())?;
            fit(rest, left, bindings)
        }
    }
}

fn names(pattern: &[TokenTree]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, token) in pattern.iter().enumerate() {
        match token {
            TokenTree::Ident(name) if index > 0 && is(&pattern[index - 1], '$') => {
                found.push(name.to_string());
            }
            TokenTree::Group(group) => {
                found.extend(names(&group.stream().into_iter().collect::<Tokens>()));
            }
            _ => {}
        }
    }
    found
}

fn fill(body: &[TokenTree], bindings: &Bindings) -> TokenStream {
    let mut out = TokenStream::new();
    let mut rest = body;
    loop {
        rest = match rest {
            [] => return out,
            [dollar, TokenTree::Group(group), star, left @ ..]
                if is(dollar, '$') && is(star, '*') =>
            {
                let inner: Tokens = group.stream().into_iter().collect();
                let rounds = names(&inner).iter().find_map(|name| match bindings.get(name) {
                    Some(Bound::Many(rounds)) => Some(rounds.clone()),
                    _ => None,
                });
                for round in rounds.unwrap_or_default() {
                    out.extend(fill(&inner, &bindings.clone().into_iter().chain(round).collect()));
                }
                left
            }
            [dollar, TokenTree::Ident(name), left @ ..] if is(dollar, '$') => {
                match bindings.get(&name.to_string()) {
                    // One type, whatever stands around it.
                    Some(Bound::One(tokens)) => {
                        out.extend([TokenTree::Group(Group::new(
                            Delimiter::None,
                            tokens.iter().cloned().collect(),
                        ))]);
                    }
                    _ => panic!("${name} stands for nothing"),
                }
                left
            }
            [TokenTree::Group(group), left @ ..] => {
                let inner = fill(&group.stream().into_iter().collect::<Tokens>(), bindings);
                out.extend([TokenTree::Group(Group::new(group.delimiter(), inner))]);
                left
            }
            [token, left @ ..] => {
                out.extend([token.clone()]);
                left
            }
        };
    }
}
