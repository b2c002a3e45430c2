//! The function that the user gets: the same one without `async`, around a call into the runtime.
//!
//! Logic stays in the runtime (`__private`). Names that this makes start with `__loopbind`, their spans are hygienic, and every path
//! starts at the crate itself, so that nothing in scope can stand in the way.

use crate::arguments::{self, Argument};
use crate::errors::Errors;
use crate::model::{Attribute, Form, Model, Place};
use crate::parse::{self, Body};
use crate::{body, lints, options};
use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{ReturnType, Signature, Type, Visibility};

/// Expands one attribute on one item. Never panics; says all that is wrong, and always gives an item back.
pub(crate) fn expand(attribute: Attribute, options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let given = options::parse(attribute, options, &mut errors);
    let function = match parse::function(attribute.name(), item.clone()) {
        Ok(function) => function,
        Err(error) => {
            errors.push(error);
            let errors = errors.into_tokens();
            return quote!(#errors #item);
        }
    };
    let model = Model::new(attribute, given, function, &mut errors);
    let item = outer(&model);
    let errors = errors.into_tokens();
    quote!(#errors #item)
}

/// The item that replaces the user's.
fn outer(model: &Model) -> TokenStream {
    let function = &model.function;
    let (attributes, visibility) = (&function.attributes, &function.visibility);
    let arguments = arguments::list(&function.signature);
    let test = test_attribute(model);
    let head = head(model, &arguments);
    let braces = match (&function.body, model.form) {
        (Body::Missing(semicolon), _) => semicolon.to_token_stream(),
        // `::core` even if the path of `crate = path` is wrong, which is one error and should stay one.
        (Body::Block(_), Form::Placeholder) => {
            quote_spanned!(Span::mixed_site()=> { ::core::unimplemented!() })
        }
        (Body::Block(body), Form::InnerFunction) => body::around_function(model, body, &arguments),
        (Body::Block(body), Form::Closure) => body::around_closure(model, body, &arguments),
    };
    let silenced = lints::silenced_outside(model);
    quote!(#(#attributes)* #silenced #test #visibility #head #braces)
}

fn test_attribute(model: &Model) -> TokenStream {
    let is_there =
        model.function.attributes.iter().any(|attribute| {
            attribute.path().segments.last().is_some_and(|last| last.ident == "test")
        });
    if model.attribute != Attribute::Test || is_there || model.form == Form::Placeholder {
        return TokenStream::new();
    }
    let home = &model.home;
    quote_spanned!(Span::mixed_site()=> #[#home::__private::core::prelude::v1::test])
}

/// The signature of the outer function: no `async`, plain names for the arguments.
fn head(model: &Model, arguments: &[Argument<'_>]) -> TokenStream {
    let signature = &model.function.signature;
    let Signature { constness, asyncness, safety, abi, fn_token, ident, generics, .. } = signature;
    let constness = (model.form == Form::Placeholder).then_some(constness);
    let mut inputs: Vec<TokenStream> = Vec::new();
    if let Some(receiver) = signature.receiver() {
        inputs.push(receiver.to_token_stream());
    }
    inputs.extend(arguments.iter().map(Argument::declared));
    let mut parentheses =
        Group::new(Delimiter::Parenthesis, quote_spanned!(Span::mixed_site()=> #(#inputs),*));
    parentheses.set_span(signature.paren_token.span.join());
    let output = output(model);
    let where_clause = &generics.where_clause;
    let mut head = quote! {
        #constness #safety #abi #fn_token #ident #generics #parentheses #output #where_clause
    };
    // Without a visibility the function starts at `async`, so that what is said of it as a whole is said where a plain one has it.
    if let (Visibility::Inherited, Some(asyncness)) = (&model.function.visibility, asyncness) {
        head = starting_at(asyncness.span, head);
    }
    head
}

/// What the outer function returns.
fn output(model: &Model) -> TokenStream {
    let signature = &model.function.signature;
    if model.place == Place::CallingThread {
        return lints::output(model).to_token_stream();
    }
    let (home, ours) = (&model.home, Span::mixed_site());
    // It ends where the written one ends, as the span of the whole signature does.
    let (returned, end) = match &signature.output {
        ReturnType::Default => (quote_spanned!(ours=> ()), signature.paren_token.span.join()),
        ReturnType::Type(_, ty) => {
            let returned = ty.to_token_stream();
            let end = returned.clone().into_iter().last().map_or(ours, |last| last.span());
            (returned, end)
        }
    };
    let returned = if matches!(&signature.output, ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)))
    {
        // The one way to write this type as an argument: as what a function that returns it would repeat.
        quote_spanned! {ours=>
            <#home::__private::core::iter::RepeatWith<fn() -> #returned> as #home::__private::core::iter::Iterator>::Item
        }
    } else {
        returned
    };
    let close = quote_spanned!(end=> >);
    quote_spanned!(ours=> -> #home::__private::LoopThread<#returned #close)
}

pub(crate) fn starting_at(span: Span, tokens: TokenStream) -> TokenStream {
    let mut trees: Vec<TokenTree> = tokens.into_iter().collect();
    if let Some(first) = trees.first_mut() {
        first.set_span(span);
    }
    trees.into_iter().collect()
}
