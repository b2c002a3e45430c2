// Included by what makes the mistaken runtime, and by that itself. Where the runtime's lines are no more as they
// stand here, the building fails: look whether the mistake can still be made, and where.

/// What becomes of some lines of the runtime.
pub struct Edit {
    pub file: &'static str,
    /// They stand in the file once.
    pub right: &'static str,
    /// What takes their place. `RIGHT` is what was there, `MADE` asks whether the mistake is to be made.
    pub instead: &'static str,
}

pub const MISTAKES: [(&str, &[Edit]); 9] = [
    (
        "asleep without a last look",
        &[Edit {
            file: "inbox.rs",
            right: "self.head.compare_exchange(ptr::null_mut(), PARKED, order, relaxed).is_ok()",
            instead: "if MADE {
                if self.is_quiet() { self.head.store(PARKED, Ordering::Release); return true; }
                return false;
            }
            RIGHT",
        }],
    ),
    (
        "who posts looks for a sleeper once only",
        &[
            Edit {
                file: "inbox.rs",
                right: "let mut head = self.head.load(Ordering::Relaxed);",
                instead: "RIGHT let first = head;",
            },
            Edit {
                file: "inbox.rs",
                right: "let keep = (head == PARKED)",
                instead: "let keep = ((if MADE { first } else { head }) == PARKED)",
            },
        ],
    ),
    (
        "a wake between the taking of one and the poll is not posted",
        &[
            Edit {
                file: "task/life.rs",
                right: "let errand = head.refs.arrive();",
                instead: "RIGHT if MADE && !head.has(NEW) { head.refs.send(Errand::Wake); }",
            },
            Edit {
                file: "task/life.rs",
                right: "match poll_on(header) {\n            Polled::Pending => {}",
                instead: "match poll_on(header) {
                    Polled::Pending if MADE => drop(header.as_ref().refs.arrive()),
                    Polled::Pending => {}",
            },
        ],
    ),
    (
        "a post with a reference that is not its own",
        &[Edit {
            file: "task/custody.rs",
            right: "head.refs.add();",
            instead: "if !MADE { RIGHT }",
        }],
    ),
    (
        "the reference of a post is kept",
        &[Edit {
            file: "task/life.rs",
            right: "custody::release_own(header);\n    }\n}\n\n/// Born",
            instead: "if MADE { return; } RIGHT",
        }],
    ),
    (
        "closed without what had been posted",
        &[Edit {
            file: "task/home.rs",
            right: "for node in self.home.inbox.close()",
            instead: "for node in self.home.inbox.close().take(if MADE { 0 } else { usize::MAX })",
        }],
    ),
    (
        "mail comes out the last one first",
        &[Edit {
            file: "inbox.rs",
            right: "// SAFETY: the owner alone takes",
            instead: "if MADE { return Mail { next: NonNull::new(newest) }; }\nRIGHT",
        }],
    ),
    (
        "the last handle goes, and a loop that sleeps for it sleeps on",
        &[Edit { file: "task/tie.rs", right: "self.home.ring();", instead: "if !MADE { RIGHT }" }],
    ),
    (
        "an outcome is told before the future is gone",
        &[Edit {
            file: "event_loop/delivery.rs",
            right: "// The future is gone before anybody hears that it is over.",
            instead: "if MADE {
                deliver(this.sender, outcome);
                this.future.set(None);
                return Poll::Ready(());
            }",
        }],
    ),
];
