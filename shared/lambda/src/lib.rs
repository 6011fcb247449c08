#![doc = include_str!("../README.md")]

mod address;
pub mod batch;
mod clock;
mod env;
pub mod http;
mod logs;
mod measured;
pub mod metrics;
mod policy;
mod runtime;
pub mod schedule;
mod secret;
pub mod work;

pub use address::TfeAddress;
pub use clock::now;
pub use env::{Env, InvalidConfig, Setting, vars};
pub use lambda_runtime::Error;
pub use logs::{LogLevel, init_tracing, only_metrics, ours_at};
pub use measured::Measured;
pub use policy::{API_REQUESTS_PER_SECOND, api_requests_per_second, interval_ms, policy};
pub use runtime::{InitFailed, started};
pub use secret::SecretRef;
