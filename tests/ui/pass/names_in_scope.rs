//! No name in scope stands in the way.
#![deny(warnings)]
#![allow(dead_code, unused_macros, non_camel_case_types, non_upper_case_globals)]

mod std {}
mod core {}
mod alloc {}
mod loopbind {}
mod test {}
struct Option;
struct Box;
struct Vec;
struct String;
enum Some {}
enum Ok {}
enum Err {}
type Result = ();
trait Future {}
trait FnOnce {}
trait Send {}
trait Any {}
trait Iterator {}
trait Clone {
    fn clone(&self) {}
}
impl<T> Clone for T {}
trait Unpack {
    fn unpack(&self) {}
    fn take(&self) {}
    fn expect(&self) {}
}
impl<T> Unpack for T {}
fn drop() {}
const start: u32 = 1;
const setup: u32 = 1;
const output: u32 = 1;
const value: u32 = 1;
const packed: u32 = 1;
const name: u32 = 1;
const make: u32 = 1;
macro_rules! panic {
    ($($any:tt)*) => {
        compile_error!("not this one")
    };
}
macro_rules! assert {
    ($($any:tt)*) => {
        compile_error!("not this one")
    };
}
macro_rules! unimplemented {
    ($($any:tt)*) => {
        compile_error!("not this one")
    };
}

#[::loopbind::loop_main(name = "ui", debug)]
async fn main() {
    ::std::future::ready(()).await;
    let _ = away(1, 2).join();
    let _ = ::std::thread::spawn(|| here(1, 2, 3, 4)).join();
}

#[::loopbind::loop_thread(spawn, stack_size = 1 << 20)]
async fn away(future: u32, __loopbind: u32) -> u32 {
    ::std::future::ready(future + __loopbind).await
}

#[::loopbind::loop_main]
fn here(loop_: u32, event_loop: u32, body: u32, f: u32) -> u32 {
    loop_ + event_loop + body + f
}

#[::loopbind::loop_test(seed = 3, timeout = "5s", virtual_time)]
async fn check() {
    ::std::future::ready(()).await;
}
