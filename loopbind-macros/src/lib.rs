//! The attributes of loopbind.
#![forbid(unsafe_code)]

mod arguments;
mod errors;
mod expand;
mod model;
mod nested;
mod options;
mod parse;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod soup;
mod values;

use model::Attribute;
use proc_macro::TokenStream;

/// main
#[proc_macro_attribute]
pub fn loop_main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Main, options.into(), item.into()).into()
}

/// thread
#[proc_macro_attribute]
pub fn loop_thread(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Thread, options.into(), item.into()).into()
}

/// test
#[proc_macro_attribute]
pub fn loop_test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Test, options.into(), item.into()).into()
}
