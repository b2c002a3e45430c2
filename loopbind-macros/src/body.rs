//! The braces of the function that the user gets: the user's own body inside, and the call into the runtime.

use crate::arguments::{self, Argument};
use crate::expand::starting_at;
use crate::lints;
use crate::model::{self, Attribute, Model, Place, is_unit};
use crate::options::{Known, Value};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericParam, ReturnType, Signature, Type};

/// The user's function, kept as it is inside ours, and the call that runs it.
pub(crate) fn around_function(
    model: &Model,
    body: &Group,
    arguments: &[Argument<'_>],
) -> TokenStream {
    let signature = &model.function.signature;
    let Signature { asyncness, safety, fn_token, ident, generics, output, .. } = signature;
    // Dead code is not reported of a name that starts so: it is reported of the outer function.
    let inner = Ident::new("__loopbind_body", ident.span());
    let where_clause = &generics.where_clause;
    let mut parentheses = Group::new(Delimiter::Parenthesis, arguments::inside(signature));
    parentheses.set_span(signature.paren_token.span.join());
    let mut function = quote! {
        #asyncness #safety #fn_token #inner #generics #parentheses #output #where_clause #body
    };
    if let Some(first) = model.function.visibility.to_token_stream().into_iter().next() {
        function = starting_at(first.span(), function);
    }

    let mut callee = Ident::new("__loopbind_body", Span::mixed_site()).into_token_stream();
    let parameters: Vec<&Ident> = generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(&parameter.ident),
            GenericParam::Const(parameter) => Some(&parameter.ident),
            // Lifetimes are found by inference; most could not be written.
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    if !parameters.is_empty() {
        callee = quote_spanned!(Span::mixed_site()=> #callee::<#(#parameters),*>);
    }
    let call = arguments::call(&callee, arguments, model);
    let call = if model::is_unsafe(signature) {
        quote_spanned!(Span::mixed_site()=> unsafe { #call })
    } else {
        call
    };
    let prepared = arguments.iter().map(|argument| argument.prepared(model));
    let alias = alias(model);
    let package = arguments::package(model, arguments);
    let lifetimes = lints::lifetimes(model, body.stream());
    let effect = lints::effect(model);
    let silenced = lints::silenced_inside(model);
    let run = run(model, quote_spanned!(Span::mixed_site()=> move || { #call }));
    braced(body, quote!(#silenced #function #alias #package #lifetimes #effect #(#prepared)* #run))
}

/// The user's tokens in a closure that has the type of the function, and sees its `self` and `Self`.
pub(crate) fn around_closure(
    model: &Model,
    body: &Group,
    arguments: &[Argument<'_>],
) -> TokenStream {
    let signature = &model.function.signature;
    let (inner_attributes, statements) = split_inner_attributes(body);
    let arrow = match &signature.output {
        ReturnType::Type(_, ty) if !is_nameable(ty) => None,
        ReturnType::Type(_, ty) if !is_unit(ty) => {
            Some(quote_spanned!(Span::mixed_site()=> -> #ty))
        }
        _ => Some(quote_spanned!(Span::mixed_site()=> -> ())),
    };
    // Taken whole, so that the part the body does not mention is dropped with the rest.
    let receiver = signature.receiver().map(|receiver| {
        let this = &receiver.self_token;
        quote_spanned!(Span::mixed_site()=> let _ = &#this;)
    });
    let bound = arguments.iter().map(|argument| argument.bound(model));
    // An arm, as the body of a function, is a scope of its own: what its last expression borrows is dropped before the arguments are.
    // Nothing follows it, and so nothing is out of reach if it does not end.
    let result = quote_spanned!(Span::mixed_site()=> match () { () => #statements });
    let content = quote_spanned!(Span::mixed_site()=> #receiver #(#bound)* #result);
    // A receiver that cannot move to another thread is said where it stands: all else in the closure can.
    let (first, last) =
        signature.receiver().map_or((Span::mixed_site(), Span::mixed_site()), |receiver| {
            arguments::ends(receiver.to_token_stream())
        });
    let head = quote_spanned!(first=> move ||);
    let content = quote_spanned!(last=> { #content });
    let closure = match (arrow, signature.asyncness) {
        (arrow, None) => quote!(#head #arrow #content),
        (Some(arrow), Some(_)) => {
            let asyncness = Ident::new("async", first);
            quote!(#asyncness #head #arrow #content)
        }
        (None, Some(_)) => quote_spanned!(Span::mixed_site()=> #head { async move #content }),
    };
    let prepared = arguments.iter().map(|argument| argument.prepared(model));
    let alias = alias(model);
    let package = arguments::package(model, arguments);
    let effect = lints::effect(model);
    let run = run(model, closure);
    braced(body, quote!(#inner_attributes #alias #package #effect #(#prepared)* #run))
}

/// A short name for what this crate has in the runtime: if the path of `crate = path` is wrong, that is one error.
///
/// Its one segment can also be moved to the user's tokens, where a longer path would only partly go.
fn alias(model: &Model) -> TokenStream {
    let home = &model.home;
    quote_spanned!(Span::mixed_site()=> use #home::__private as __loopbind;)
}

/// The call into the runtime.
fn run(model: &Model, make: TokenStream) -> TokenStream {
    let is_async = model.function.signature.asyncness.is_some();
    let name = match (model.attribute, model.place, is_async) {
        (Attribute::Main, _, true) => "run_main",
        (Attribute::Main, _, false) => "bind_main",
        (Attribute::Thread, Place::CallingThread, true) => "run_thread",
        (Attribute::Thread, Place::CallingThread, false) => "bind_thread",
        (Attribute::Thread, Place::NewThread, true) => "spawn_thread",
        (Attribute::Thread, Place::NewThread, false) => "spawn_plain_thread",
        (Attribute::Test, _, true) => "run_test",
        (Attribute::Test, _, false) => "run_plain_test",
    };
    let ours = Span::mixed_site();
    let setup = setup(model);
    let entry = Ident::new(name, ours);
    if model.place == Place::NewThread {
        // What is returned has to be `Send`, and an error about it belongs at its type.
        let signature = &model.function.signature;
        let (first, last) = match (&signature.output, signature.generics.type_params().next()) {
            (ReturnType::Type(_, ty), _) => arguments::ends(ty.to_token_stream()),
            (ReturnType::Default, Some(parameter)) => {
                let declared = ours.located_at(parameter.ident.span());
                (declared, declared)
            }
            (ReturnType::Default, None) => (ours, ours),
        };
        let private = Ident::new("__loopbind", first);
        let entry = Ident::new(name, last);
        let mut handed = Group::new(Delimiter::Parenthesis, quote_spanned!(ours=> #setup, #make));
        handed.set_span(last);
        return quote_spanned! {ours=>
            #private::#entry #handed
        };
    }
    if model.attribute != Attribute::Test {
        return quote_spanned!(ours=> __loopbind::#entry(#setup, #make));
    }
    quote_spanned! {ours=>
        __loopbind::#entry(#setup, #make, |__loopbind_output| {
            use __loopbind::{OutcomeOfAny as _, OutcomeOfResult as _};
            (&__loopbind::Outcome(__loopbind_output)).__loopbind_failed()
        })
    }
}

/// What the options say, as a chain of calls; each call stands at its option, so that a value of the wrong type is told there.
fn setup(model: &Model) -> TokenStream {
    let ours = Span::mixed_site();
    let name = model::plain_name(&model.function.signature);
    let calls = model.settings.iter().map(|option| {
        let method = Ident::new(option.known.method(), ours.located_at(option.span));
        let value = match (&option.value, option.known) {
            (Value::Tokens(value), _) => value.clone(),
            (Value::Time(time), _) => {
                let (seconds, nanoseconds) = (time.as_secs(), time.subsec_nanos());
                quote_spanned!(ours=> __loopbind::core::time::Duration::new(#seconds, #nanoseconds))
            }
            (Value::Nothing, Known::Debug) => quote_spanned!(ours=> true),
            (Value::Nothing, _) => TokenStream::new(),
        };
        quote_spanned!(ours=> .#method(#value))
    });
    quote_spanned!(ours=> __loopbind::Setup::new(#name) #(#calls)*)
}

/// `#![..]` at the start of a body, and the body without them: only a function's own braces may hold them.
fn split_inner_attributes(body: &Group) -> (TokenStream, Group) {
    let mut attributes = TokenStream::new();
    let trees: Vec<TokenTree> = body.stream().into_iter().collect();
    let mut rest = &trees[..];
    while let [
        TokenTree::Punct(hash),
        TokenTree::Punct(bang),
        TokenTree::Group(content),
        after @ ..,
    ] = rest
    {
        if hash.as_char() != '#' || bang.as_char() != '!' {
            break;
        }
        attributes.extend([
            TokenTree::from(hash.clone()),
            bang.clone().into(),
            content.clone().into(),
        ]);
        rest = after;
    }
    let mut without = Group::new(body.delimiter(), rest.iter().cloned().collect());
    without.set_span(body.span());
    (attributes, without)
}

/// Whether a closure may be declared to return the type.
fn is_nameable(ty: &Type) -> bool {
    fn has_impl(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|tree| match tree {
            TokenTree::Ident(word) => word == "impl",
            TokenTree::Group(group) => has_impl(group.stream()),
            _ => false,
        })
    }
    !has_impl(ty.to_token_stream())
}

/// In the braces of the user's body, so that the function ends where the user's does.
fn braced(body: &Group, content: TokenStream) -> TokenStream {
    let mut braces = Group::new(Delimiter::Brace, content);
    braces.set_span(body.span());
    braces.into_token_stream()
}
