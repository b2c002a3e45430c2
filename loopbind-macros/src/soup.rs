//! Whatever the input, the expander gives tokens back: an editor sends it half of a function at every keystroke.

use crate::expand::expand;
use crate::model;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{AttrStyle, Attribute, Item, ItemFn};

const OPTIONS: &str = "spawn, name = \"ui\", seed = 7, seeds = 0..64, timeout = \"5s\", stack_size = 1 << 20, core = 0, \
    debug, debug = true, allow_nested_run, crate = a::b, builder = f(1), = , , -1 .. ..= 'x' b'x' 1.5 name(1) virtual_time";
const ITEMS: &[&str] = &[
    "#[doc = \"d\"] pub(crate) async unsafe fn f<'a, T: A + 'a, const N: usize>(mut a: &'a T, #[cfg(b)] (c, _): (u8, [T; N]), _: u8) -> Result<impl T, E> where T: Copy { #![allow(x)] a.run_forever(); b? }",
    "const extern \"C\" fn g(self: Rc<Self>, x: &'static str, ...) -> ! { struct S { a: Self } |x| y.run_until_complete::<F>(z) || w; m!(a | b) }",
    "async fn main() ; struct X { y: Z } fn trait impl = | . :: # !",
];

/// A small generator of our own: the same soups at every run.
struct Cook {
    state: u64,
    /// One token in so many is stirred.
    gentleness: usize,
}

impl Cook {
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % limit.max(1) as u64) as usize
    }

    /// The tokens with some left out, doubled, swapped, or taken from elsewhere, on every level.
    fn stir(&mut self, tokens: TokenStream, pantry: &[TokenTree]) -> TokenStream {
        let mut trees: Vec<TokenTree> = Vec::new();
        for tree in tokens {
            let tree = match tree {
                TokenTree::Group(group) => {
                    let delimiter = match self.below(8 * self.gentleness) {
                        0 => Delimiter::None,
                        1 => Delimiter::Brace,
                        2 => Delimiter::Parenthesis,
                        _ => group.delimiter(),
                    };
                    TokenTree::Group(Group::new(delimiter, self.stir(group.stream(), pantry)))
                }
                other => other,
            };
            match self.below(4 * self.gentleness) {
                0 => {}
                1 => trees.extend([tree.clone(), tree]),
                2 => trees.extend([tree, pantry[self.below(pantry.len())].clone()]),
                3 if !trees.is_empty() => trees.insert(trees.len() - 1, tree),
                _ => trees.push(tree),
            }
        }
        if self.below(self.gentleness) == 0 {
            trees.truncate(self.below(trees.len() + 1));
        }
        trees.into_iter().collect()
    }
}

/// Not one of those at the start of the body, which goes elsewhere as a whole.
fn is_outer(attribute: &Attribute) -> bool {
    matches!(attribute.style, AttrStyle::Outer)
}

fn tokens_of(syntax: &impl ToTokens) -> String {
    syntax.to_token_stream().to_string()
}

#[test]
fn no_input_is_too_strange() {
    let tokens = |text: &str| text.parse::<TokenStream>().expect("tokens");
    let mut cook = Cook { state: 0x9e37_79b9_7f4a_7c15, gentleness: 1 };
    let mut pantry: Vec<TokenTree> = tokens(OPTIONS).into_iter().collect();
    pantry.extend(ITEMS.iter().flat_map(|item| tokens(item)));
    let mut functions = 0;
    for round in 0..3_000 {
        let attribute =
            [model::Attribute::Main, model::Attribute::Thread, model::Attribute::Test][round % 3];
        cook.gentleness = [4, 20, 100][round / 3 % 3];
        let options = cook.stir(tokens(OPTIONS), &pantry);
        let recipe = ITEMS[cook.below(ITEMS.len())];
        let item = cook.stir(tokens(recipe), &pantry);
        let expanded = expand(attribute, options, item.clone());
        assert!(!expanded.is_empty(), "nothing is left of {item}");
        // What was a function still is one, and is seen from outside as it was.
        let Ok(written) = syn::parse2::<ItemFn>(item.clone()) else { continue };
        functions += 1;
        let file: syn::File = syn::parse2(expanded.clone()).unwrap_or_else(|error| {
            panic!("{item}\nbecomes what does not parse, {error}:\n{expanded}")
        });
        let kept = file.items.into_iter().find_map(|item| match item {
            Item::Fn(function) if function.sig.ident == written.sig.ident => Some(function),
            _ => None,
        });
        let kept = kept.unwrap_or_else(|| panic!("{item}\nis gone from:\n{expanded}"));
        assert_eq!(tokens_of(&kept.vis), tokens_of(&written.vis), "in {item}");
        assert_eq!(tokens_of(&kept.sig.generics), tokens_of(&written.sig.generics), "in {item}");
        let kept: Vec<_> = kept.attrs.iter().map(tokens_of).collect();
        for attribute in written.attrs.iter().filter(|attribute| is_outer(attribute)) {
            assert!(kept.contains(&tokens_of(attribute)), "in {item}");
        }
    }
    assert!(functions > 100, "only {functions} of the soups were functions: nothing was tested");
}
