//! The life of a task, written down before the code.
//!
//! `State` belongs to the loop's thread alone and is a plain cell; what other threads touch is in
//! `refs`.
//!
//! ```text
//!              spawn                pop, poll → Pending
//!   (none) ───────────▶ SCHEDULED ─────────────────────▶ (idle) ──┐
//!                           ▲ ▲                                    │ wake, cancel
//!                           │ └────────────────────────────────────┘
//!                           │ wake during the poll
//!                     (being polled, and SCHEDULED)
//!
//!   pop, poll → Ready or panic ─────────────────▶ DONE, outcome stored
//!   pop with CANCEL, no listener ── drop ───────▶ DONE, `Cancelled`
//!   pop with CANCEL, listeners ─── tell, poll ──▶ as any poll, TOLD
//!   close ───────────────────────── drop ───────▶ DONE, `Cancelled`
//! ```
//!
//! | bit | set by | cleared by | promises |
//! |---|---|---|---|
//! | `SCHEDULED` | `schedule` | `run`, before the poll | the task is in the ready list, once |
//! | `CALLED` | `run` | never | a callback whose closure was taken out, to be called |
//! | `CANCEL` | `cancel`, `abort` | telling the listeners; `DONE` | the next turn drops or tells |
//! | `ABORT` | `abort` | `DONE` | the next turn drops, listeners or not |
//! | `TOLD` | telling the listeners | the last of them, dropped unheard | the task knows, and ends by itself |
//! | `DONE` | `settle` | never | the future is gone, the outcome was stored |
//! | `HANDLE` | birth | the `Task` handle's end | somebody may still want the outcome |
//! | `DETACHED` | `Task::detach` | never | meant to outlive whoever started it |
//! | `CALLBACK` | birth | never | a callback: no task to the eyes of users |
//! | `ROOT` | birth | never | the main future of a run, which ends with it |
//! | `NEW` | birth on another thread | arrival | not yet counted among the loop's tasks |
//! | `FAILED` | the panic | never | the outcome is a panic |
//! | `CONTEXT` | birth, `task::context` | its end | it may have a context: what it starts looks for it |
//! | `KEEPS` | birth elsewhere, the end | never | it has a share in its home: see `anchor` |
//! | `FUTURE` | birth | the future's end, before it is dropped | the cell holds the future |
//! | `OUTCOME` | the storing | the taking, or dropping | the cell holds the outcome |
//! | `COLD` | the first use | never | there is a `Cold` |
//! | `TRACED` | `span::begin` | the end | it has a span, which its steps enter |
//! | `REMOTE` | the first reference that may leave the thread | never | the end is to be shown in `refs`, too |
//!
//! The loop holds one reference to a task until it is `DONE` and not `SCHEDULED`.

pub(crate) type State = u32;

pub(crate) const SCHEDULED: State = 1 << 0;
pub(crate) const CALLED: State = 1 << 1;
pub(crate) const CANCEL: State = 1 << 3;
pub(crate) const ABORT: State = 1 << 4;
pub(crate) const TOLD: State = 1 << 5;
pub(crate) const DONE: State = 1 << 6;
pub(crate) const HANDLE: State = 1 << 7;
pub(crate) const DETACHED: State = 1 << 10;
pub(crate) const CALLBACK: State = 1 << 11;
pub(crate) const ROOT: State = 1 << 12;
pub(crate) const NEW: State = 1 << 13;
pub(crate) const CONTEXT: State = 1 << 14;
pub(crate) const REMOTE: State = 1 << 15;
pub(crate) const FAILED: State = 1 << 16;
pub(crate) const KEEPS: State = 1 << 17;
pub(crate) const FUTURE: State = 1 << 18;
pub(crate) const OUTCOME: State = 1 << 19;
pub(crate) const COLD: State = 1 << 20;
/// No bit at all without the feature, so that nobody looks for it.
pub(crate) const TRACED: State = if cfg!(feature = "tracing") { 1 << 21 } else { 0 };
