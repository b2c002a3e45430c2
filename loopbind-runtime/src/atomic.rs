//! What the protocols between threads are made of, atomic words and the plain cells that they guard:
//! `std`'s. The models of the protocols put others in this place, which try every order of events.

pub(crate) use std::cell::Cell;
pub(crate) use std::sync::atomic::{AtomicIsize, AtomicPtr, Ordering};
