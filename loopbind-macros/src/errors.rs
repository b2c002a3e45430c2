//! Mistakes, collected so that all of them are told at once, each at the smallest token that is guilty.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use std::fmt::Display;

/// What is wrong with one use of an attribute.
#[derive(Default)]
pub(crate) struct Errors {
    found: Vec<syn::Error>,
}

impl Errors {
    /// Notes a mistake at one token.
    pub(crate) fn at(&mut self, guilty: Span, message: impl Display) {
        self.found.push(syn::Error::new(guilty, message));
    }

    /// Notes a mistake at a run of tokens, underlined from the first to the last.
    pub(crate) fn over(&mut self, guilty: impl ToTokens, message: impl Display) {
        self.found.push(syn::Error::new_spanned(guilty, message));
    }

    /// Notes what the parser had to say.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    /// How many there are by now.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// One `compile_error!` for each mistake, in the order of discovery: options first, then signature, then body.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.found.iter().map(syn::Error::to_compile_error).collect()
    }
}
