//! `sluice doctor`.
