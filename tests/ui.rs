//! What the attributes refuse, and what they accept.
//!
//! `ui/fail` holds one wrong program for each rule, named after it, with the errors it gets; those are our own messages only, so that
//! another compiler changes nothing here. `ui/pass` holds programs that must compile, with every lint denied, and run.
//! After a change of a message: `TRYBUILD=overwrite cargo test --test ui`, then read the difference.
#![cfg(feature = "macros")]

#[test]
fn wrong_programs_are_told_why() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn right_programs_compile_and_run() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}

/// `ui/host` is what the feature `tokio` adds to that, and `ui/no_host` what is said without it.
#[test]
fn a_host_needs_its_feature_and_the_real_clock() {
    let place = if cfg!(feature = "tokio") { "host" } else { "no_host" };
    trybuild::TestCases::new().compile_fail(format!("tests/ui/{place}/*.rs"));
}
