//! The context of a run: shared by its checks over real HTTP, and never lost.

mod answers;
mod failing;
mod forged;
mod leaks;
mod policies;
pub mod scene;
mod sizes;
mod terrakube;
mod tokens;
mod writers;
