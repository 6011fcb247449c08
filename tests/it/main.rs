//! Every cross-crate test, in one binary that links once.

mod bins;
mod hcp_client;
mod lambda;
mod receiver;
mod redelivery;
mod table;
mod waves;
mod world;
