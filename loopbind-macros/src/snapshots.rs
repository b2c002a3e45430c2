//! What each kind of function becomes, as files to read: `snapshots/<name>.rs`.
//!
//! After a change of the expansion: `LOOPBIND_BLESS=1 cargo test -p loopbind-macros`, then read the difference.

use crate::expand::expand;
use crate::model::Attribute;
use std::path::Path;
use std::{env, fs};

fn snapshot(name: &str, attribute: Attribute, options: &str, item: &str) {
    let expanded = expand(
        attribute,
        options.parse().expect("options are tokens"),
        item.parse().expect("an item is tokens"),
    );
    let file = syn::parse2(expanded.clone())
        .unwrap_or_else(|error| panic!("{name} expands to what is no item: {error}\n{expanded}"));
    let written = item.lines().map(|line| format!("//! {}\n", line.trim_end())).collect::<String>();
    let got = format!(
        "//! ```text\n//! #[{}({options})]\n{written}//! ```\n\n{}",
        attribute.name(),
        prettyplease::unparse(&file)
    );
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/snapshots").join(format!("{name}.rs"));
    if env::var_os("LOOPBIND_BLESS").is_some() {
        fs::write(&path, &got).expect("a snapshot can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        got == expected,
        "{name} expands to something else than {} says; with LOOPBIND_BLESS=1 that file is written anew. Now it is:\n{got}",
        path.display()
    );
}

#[test]
fn main_runs_an_async_function() {
    snapshot("main", Attribute::Main, "", "async fn main() {\n    work().await;\n}");
}

#[test]
fn main_binds_a_plain_function() {
    snapshot(
        "main_plain",
        Attribute::Main,
        "name = \"ui\", debug, spin = \"50us\", builder = builder()",
        "pub fn start(number: u32) -> Result<(), Error> {\n    Ok(())\n}",
    );
}

#[test]
fn main_that_ctrl_c_cancels() {
    snapshot(
        "main_ctrl_c",
        Attribute::Main,
        "ctrl_c = \"cancel\", debug",
        "async fn main() {\n    work().await;\n}",
    );
}

#[test]
fn options_become_calls() {
    snapshot(
        "options",
        Attribute::Thread,
        "name = format!(\"io-{}\", 1), debug = cfg!(test), crate = my::loopbind, allow_nested_run",
        "/// Works.\n#[inline]\npub(crate) async fn worker() -> u32 {\n    1\n}",
    );
}

#[test]
fn generics_are_forwarded() {
    snapshot(
        "generics",
        Attribute::Thread,
        "",
        "async fn first<'a, T: Clone, const N: usize>(values: &'a [T; N], mut label: impl Display, (_, b): (u8, u8), _: u8) -> &'a T\nwhere\n    T: Debug,\n{\n    &values[0]\n}",
    );
}

#[test]
fn unsafe_and_extern_stay_outside() {
    snapshot(
        "unsafe_extern",
        Attribute::Thread,
        "",
        "#[unsafe(no_mangle)]\npub async unsafe extern \"C\" fn callback(pointer: *const u8) -> u8 {\n    *pointer\n}",
    );
}

#[test]
fn a_method_is_a_closure() {
    snapshot(
        "method",
        Attribute::Thread,
        "",
        "async fn work(&mut self, count: u32, (a, _): (u8, u8)) -> Result<Self, Error> {\n    #![allow(unused)]\n    self.count += count;\n    todo!()\n}",
    );
}

#[test]
fn a_plain_method_that_never_returns() {
    snapshot("method_never", Attribute::Thread, "", "fn work(self) -> ! {\n    loop {}\n}");
}

#[test]
fn a_method_with_an_opaque_output_has_no_declared_type() {
    snapshot(
        "method_opaque",
        Attribute::Thread,
        "",
        "async fn work(&self) -> impl Fn() -> u32 + '_ {\n    || self.count\n}",
    );
}

#[test]
fn spawn_packs_the_arguments() {
    snapshot(
        "spawn",
        Attribute::Thread,
        "spawn, stack_size = 1 << 20, core = 0",
        "async fn worker(names: Vec<String>, limit: usize) -> Result<usize, Error> {\n    Ok(0)\n}",
    );
}

#[test]
fn spawn_of_what_never_returns() {
    snapshot("spawn_never", Attribute::Thread, "spawn", "fn worker() -> ! {\n    loop {}\n}");
}

#[test]
fn arguments_that_may_not_be_there() {
    snapshot(
        "optional_arguments",
        Attribute::Main,
        "",
        "async fn start(#[cfg(unix)] socket: u32, #[cfg(windows)] pipe: u32, #[allow(unused)] always: u32) {}",
    );
}

#[test]
fn a_test_is_one() {
    snapshot(
        "test",
        Attribute::Test,
        "virtual_time, seeds = 0..64, timeout = \"1500ms\"",
        "#[should_panic]\nasync fn check() -> Result<(), Error> {\n    Ok(())\n}",
    );
}

#[test]
fn a_test_with_arguments_runs_once() {
    snapshot("test_arguments", Attribute::Test, "", "#[test]\nfn check(case: u32) {}");
}

#[test]
fn a_test_with_arguments_and_seeds_clones_them() {
    snapshot(
        "test_arguments_seeds",
        Attribute::Test,
        "seeds = 0..8",
        "async fn check(case: Case, _: u32) {}",
    );
}

#[test]
fn a_wrong_option_leaves_the_function() {
    snapshot(
        "error_in_options",
        Attribute::Main,
        "name = 5, debug",
        "async fn main() {\n    work().await;\n}",
    );
}

#[test]
fn a_value_of_spawn_leaves_the_thread() {
    snapshot(
        "error_in_spawn",
        Attribute::Thread,
        "spawn = true",
        "pub async fn worker() -> u32 {\n    1\n}",
    );
}

#[test]
fn a_wrong_signature_leaves_its_name() {
    snapshot(
        "error_in_signature",
        Attribute::Thread,
        "",
        "/// Works.\npub const fn worker(number: u32) -> u32 {\n    number\n}",
    );
}

#[test]
fn what_is_no_function_stays() {
    snapshot(
        "error_no_function",
        Attribute::Test,
        "virtual_time",
        "pub struct Suite {\n    number: u32,\n}",
    );
}
