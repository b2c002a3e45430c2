//! Posting, parking and closing: `inbox.rs`.

use std::ptr::NonNull;

use loom::sync::Arc;
use loom::thread;

use crate::atomic::{AtomicPtr, Cell, Ordering};
use crate::desk::{Bell, rest};
use crate::inbox::{Inbox, Refused};
use crate::ready::Node;

/// A post that carries something, as a task does.
#[repr(C)]
struct Letter {
    node: Node,
    text: Cell<u32>,
}

#[derive(Default)]
struct Office {
    inbox: Inbox,
    bell: Bell,
}

// SAFETY: what the models have of it on several threads is what the runtime has; the checker looks on.
unsafe impl Send for Office {}
// SAFETY: as for `Send`.
unsafe impl Sync for Office {}

fn letter(text: u32) -> NonNull<Letter> {
    let letter = Letter { node: Node::default(), text: Cell::new(0) };
    let letter = NonNull::from(Box::leak(Box::new(letter)));
    // SAFETY: nobody else has it yet.
    unsafe { letter.as_ref().text.set(text) };
    letter
}

fn post(office: &Arc<Office>, text: u32) -> Result<(), Refused> {
    let letter = letter(text);
    // SAFETY: valid until taken, and in no inbox.
    match unsafe { office.inbox.push(letter.cast(), || Arc::clone(office)) } {
        Ok(Some(office)) => office.bell.ring(),
        Ok(None) => {}
        Err(refused) => {
            open(letter.cast());
            return Err(refused);
        }
    }
    Ok(())
}

fn open(node: NonNull<Node>) -> u32 {
    // SAFETY: taken, so it is nobody else's; made by `letter`.
    unsafe { Box::from_raw(node.cast::<Letter>().as_ptr()) }.text.get()
}

fn take(office: &Office) -> Vec<u32> {
    office.inbox.take().map(open).collect()
}

pub(crate) fn posts_arrive() {
    let office = Arc::new(Office::default());
    let posters: Vec<_> = [10, 20]
        .into_iter()
        .map(|first| {
            let office = Arc::clone(&office);
            thread::spawn(move || {
                post(&office, first).unwrap();
                post(&office, first + 1).unwrap();
            })
        })
        .collect();
    let mut taken = take(&office);
    for poster in posters {
        poster.join().unwrap();
    }
    taken.extend(take(&office));
    for first in [10, 20] {
        let of_one: Vec<_> = taken.iter().filter(|text| **text / 10 * 10 == first).collect();
        assert_eq!(of_one, [&first, &(first + 1)]);
    }
    assert_eq!(taken.len(), 4);
}

fn posts_end_the_sleep(posters: u32) {
    let office = Arc::new(Office::default());
    for poster in 0..posters {
        let office = Arc::clone(&office);
        thread::spawn(move || post(&office, poster).unwrap());
    }
    let mut taken = Vec::new();
    while taken.len() < posters as usize {
        rest(&office.inbox, &office.bell);
        taken.extend(take(&office));
    }
}

pub(crate) fn a_post_ends_the_sleep() {
    posts_end_the_sleep(1);
}

pub(crate) fn two_posts_end_the_sleep() {
    posts_end_the_sleep(2);
}

pub(crate) fn closing_takes_or_refuses() {
    let office = Arc::new(Office::default());
    let poster = {
        let office = Arc::clone(&office);
        thread::spawn(move || [post(&office, 1).is_ok(), post(&office, 2).is_ok()])
    };
    let mut taken = take(&office);
    taken.extend(office.inbox.close().map(open));
    let accepted = poster.join().unwrap();
    assert_eq!(taken.len(), accepted.iter().filter(|ok| **ok).count());
    assert!(accepted[0] || !accepted[1], "closed is closed");
    assert!(take(&office).is_empty() && !office.inbox.park());
}

/// What parking would be with a look and a store, and nothing that makes them one.
pub(crate) fn mistake_no_last_look() {
    let mail = Arc::new(AtomicPtr::new(std::ptr::null_mut::<u8>()));
    let bell = Arc::new(Bell::default());
    let asleep = std::ptr::without_provenance_mut(1);
    {
        let (mail, bell) = (Arc::clone(&mail), Arc::clone(&bell));
        thread::spawn(move || {
            if mail.swap(std::ptr::without_provenance_mut(8), Ordering::AcqRel) == asleep {
                bell.ring();
            }
        });
    }
    if mail.load(Ordering::Acquire).is_null() {
        mail.store(asleep, Ordering::Release);
        bell.sleep();
    }
}
