//! The invariants: some at every effect, the rest when nothing moves any more.

mod allowed;
mod live;
mod once;
mod rest;
mod truth;
mod whole;
