//! No name is taken from the prelude.
#![deny(warnings)]
#![no_implicit_prelude]

#[::loopbind::loop_main]
async fn main() {
    ::std::future::ready(()).await;
    ::std::mem::drop(away(1).join());
    ::std::mem::drop(::std::thread::spawn(here).join());
}

#[::loopbind::loop_thread(spawn)]
async fn away(number: u32) -> u32 {
    ::std::future::ready(number).await
}

#[::loopbind::loop_main(name = "plain")]
fn here() -> ::std::result::Result<(), u8> {
    ::std::result::Result::Ok(())
}

#[::loopbind::loop_test(seeds = 0..2, timeout = "5s")]
async fn check() -> ::std::result::Result<(), u8> {
    ::std::future::ready(::std::result::Result::Ok(())).await
}
