//! The arguments of a function, on their way from the outer signature to the user's body.

use crate::model::{Attribute, Model, Place};
use crate::options::Known;
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use std::collections::HashSet;
use syn::{FnArg, Pat, PatType, Signature};

/// One argument other than the receiver.
pub(crate) struct Argument<'a> {
    written: &'a PatType,
    /// What it is called in the outer function: only our own tokens see this name.
    name: Ident,
    /// The predicates of its `#[cfg(..)]`.
    presence: Vec<TokenStream>,
}

/// The arguments of `signature`, each with a name to pass it on by.
pub(crate) fn list(signature: &Signature) -> Vec<Argument<'_>> {
    let mut taken = HashSet::new();
    signature
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(written) => Some(written),
            FnArg::Receiver(_) => None,
        })
        .enumerate()
        .map(|(position, written)| {
            // The user's own name where there is one: documentation shows it.
            let name = binding(&written.pat)
                .filter(|name| taken.insert(name.to_string()))
                .unwrap_or_else(|| {
                    let span = Span::mixed_site();
                    format_ident!("__loopbind_argument_{position}", span = span)
                });
            let presence = written
                .attrs
                .iter()
                .filter(|attribute| attribute.path().is_ident("cfg"))
                .filter_map(|attribute| attribute.meta.require_list().ok())
                .map(|list| list.tokens.clone())
                .collect();
            Argument { written, name, presence }
        })
        .collect()
}

/// The arguments of the inner function: as they were written, without the attributes that are for other macros.
pub(crate) fn inside(signature: &Signature) -> TokenStream {
    let inputs = signature.inputs.pairs().map(|pair| {
        let (input, comma) = pair.into_tuple();
        let mut input = input.clone();
        if let FnArg::Typed(written) = &mut input {
            written.attrs.retain(is_about_body);
        }
        quote!(#input #comma)
    });
    quote!(#(#inputs)*)
}

/// Whether an attribute of an argument is for the function that has the body; others are for macros below this attribute.
fn is_about_body(attribute: &syn::Attribute) -> bool {
    const NAMES: [&str; 8] =
        ["allow", "cfg", "cfg_attr", "deny", "doc", "expect", "forbid", "warn"];
    NAMES.iter().any(|name| attribute.path().is_ident(name))
}

/// The name that a plain `name` or `mut name` binds, out of sight of the user's tokens.
fn binding(pattern: &Pat) -> Option<Ident> {
    let Pat::Ident(pattern) = pattern else {
        return None;
    };
    let is_plain = pattern.by_ref.is_none() && pattern.subpat.is_none();
    // With a capital it may be the name of a constant or of a unit struct.
    let starts_small =
        pattern.ident.to_string().starts_with(|first: char| first == '_' || first.is_lowercase());
    (is_plain && starts_small).then(|| {
        let mut name = pattern.ident.clone();
        name.set_span(Span::mixed_site().located_at(name.span()));
        name
    })
}

impl Argument<'_> {
    /// In the signature of the outer function, with what other attribute macros have to find there.
    pub(crate) fn declared(&self) -> TokenStream {
        let foreign = self.written.attrs.iter().filter(|attribute| !is_about_body(attribute));
        let (cfg, name, colon, ty) =
            (self.cfg(), &self.name, &self.written.colon_token, &self.written.ty);
        quote!(#(#foreign)* #cfg #name #colon #ty)
    }

    /// What happens to it in the outer function before the loop is made.
    pub(crate) fn prepared(&self, model: &Model) -> TokenStream {
        let (cfg, name) = (self.cfg(), &self.name);
        if model.place == Place::NewThread {
            // The first and the last token stand at the ends of the argument's type, and so does an error about it.
            let (first, last) = ends(self.written.ty.to_token_stream());
            let pack = quote_spanned!(first=> __LoopbindArgument::pack);
            let begin = name_at(name, first);
            let end = quote_spanned!(last=> 0);
            let mut value = Group::new(Delimiter::Parenthesis, quote!(#begin.#end));
            value.set_span(last);
            return quote_spanned! {Span::mixed_site()=>
                #cfg let #name = (#name,);
                #cfg let #name = #pack #value;
            };
        }
        if model.attribute == Attribute::Test && !model.has(Known::Seeds) {
            return quote_spanned! {Span::mixed_site()=>
                #cfg let mut #name = __loopbind::core::option::Option::Some(#name);
            };
        }
        TokenStream::new()
    }

    /// The value, where the body gets it.
    pub(crate) fn passed(&self, model: &Model) -> TokenStream {
        let name = &self.name;
        if model.place == Place::NewThread {
            return quote_spanned!(Span::mixed_site()=> #name.unpack());
        }
        if model.attribute != Attribute::Test {
            return name.to_token_stream();
        }
        if model.has(Known::Seeds) {
            let (first, last) = ends(self.written.ty.to_token_stream());
            let begin = quote_spanned!(first=> __loopbind::core::clone::Clone);
            let clone = quote_spanned!(last=> clone);
            let reference = quote_spanned!(first=> &);
            let name = name_at(name, last);
            let mut value = Group::new(Delimiter::Parenthesis, quote!(#reference #name));
            value.set_span(last);
            return quote!(#begin::#clone #value);
        }
        quote_spanned! {Span::mixed_site()=>
            __loopbind::core::option::Option::take(&mut #name).expect("a test without `seeds` runs once")
        }
    }

    /// Bound by the user's pattern, as an `async fn` binds it: whole first, so that all of it is dropped with the body.
    pub(crate) fn bound(&self, model: &Model) -> TokenStream {
        let (name, pattern, value) = (&self.name, &self.written.pat, self.passed(model));
        let attributes: Vec<_> =
            self.written.attrs.iter().filter(|attribute| is_about_body(attribute)).collect();
        let cfg = self.cfg();
        if binding(&self.written.pat).is_some() {
            return quote_spanned!(Span::mixed_site()=> #(#attributes)* let #pattern = #value;);
        }
        quote_spanned! {Span::mixed_site()=>
            #cfg let #name = #value;
            #(#attributes)* let #pattern = #name;
        }
    }

    fn cfg(&self) -> TokenStream {
        self.presence
            .iter()
            .map(|predicate| quote_spanned!(Span::mixed_site()=> #[cfg(#predicate)]))
            .collect()
    }
}

/// Calls `callee` with every argument that is there: one call for each combination of those that may not be.
pub(crate) fn call(callee: &TokenStream, arguments: &[Argument<'_>], model: &Model) -> TokenStream {
    let optional: Vec<usize> =
        (0..arguments.len()).filter(|index| !arguments[*index].presence.is_empty()).collect();
    let with = |chosen: &dyn Fn(usize) -> bool| {
        let values = arguments
            .iter()
            .enumerate()
            .filter(|(index, _)| chosen(*index))
            .map(|(_, argument)| argument.passed(model));
        quote_spanned!(Span::mixed_site()=> #callee(#(#values),*))
    };
    if optional.is_empty() {
        return with(&|_| true);
    }
    (0_usize..1 << optional.len())
        .map(|combination| {
            let is_there = |index: usize| match optional.iter().position(|other| *other == index) {
                Some(bit) => combination >> bit & 1 == 1,
                None => true,
            };
            let predicates = optional.iter().map(|index| {
                let presence = &arguments[*index].presence;
                if is_there(*index) {
                    quote!(all(#(#presence),*))
                } else {
                    quote!(not(all(#(#presence),*)))
                }
            });
            let call = with(&is_there);
            quote_spanned!(Span::mixed_site()=> #[cfg(all(#(#predicates),*))] { #call })
        })
        .collect()
}

fn name_at(name: &Ident, span: Span) -> Ident {
    let mut name = name.clone();
    name.set_span(span);
    name
}

/// What carries an argument to another thread.
///
/// It is `Send` whatever is in it, and only takes in what is: so an argument that is not causes one error, where it is packed.
pub(crate) fn package(model: &Model, arguments: &[Argument<'_>]) -> TokenStream {
    if model.place == Place::CallingThread || arguments.is_empty() {
        return TokenStream::new();
    }
    quote_spanned! {Span::mixed_site()=>
        type __LoopbindPacked = __loopbind::std::boxed::Box<
            dyn __loopbind::core::any::Any + __loopbind::core::marker::Send,
        >;
        struct __LoopbindArgument<T> {
            packed: __LoopbindPacked,
            unpack: fn(__LoopbindPacked) -> T,
        }
        impl<T> __LoopbindArgument<T> {
            fn pack(__loopbind_value: T) -> Self
            where
                T: __loopbind::core::marker::Send + 'static,
            {
                Self {
                    packed: __loopbind::std::boxed::Box::new(__loopbind_value),
                    unpack: |__loopbind_packed| *__loopbind_packed.downcast().expect("what was packed"),
                }
            }
            fn unpack(self) -> T {
                (self.unpack)(self.packed)
            }
        }
    }
}

/// Spans of the first and the last token, for our own code that stands where the user's does.
pub(crate) fn ends(tokens: TokenStream) -> (Span, Span) {
    let ours = Span::mixed_site();
    let mut trees = tokens.into_iter();
    let first = trees.next().as_ref().map_or(ours, TokenTree::span);
    let last = trees.last().as_ref().map_or(first, TokenTree::span);
    (ours.located_at(first), ours.located_at(last))
}
