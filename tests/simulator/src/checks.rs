//! The invariants: some at every effect, the rest when nothing moves any more.

mod live;
mod once;
mod rest;
mod truth;
