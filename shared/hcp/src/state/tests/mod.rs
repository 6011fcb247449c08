//! Tests of the scanner: the real files, an oracle that reads whole trees, and input that is not a state at all.

mod differential;
mod faults;
mod files;
mod hostile;
mod oracle;
mod printer;
mod resolution;
mod values;

use secrecy::SecretSlice;

use super::{Scan, ScanError, Scanner};
use crate::digest::Digester;

fn digester() -> Digester {
    Digester::new(&SecretSlice::from(b"a key for tests".to_vec()))
}

/// Scans `state` in chunks of `size` bytes.
fn scan_by(state: &[u8], size: usize) -> Result<Scan, ScanError> {
    let mut scanner = Scanner::new(digester());
    state.chunks(size).try_for_each(|chunk| scanner.push(chunk))?;
    scanner.finish()
}

fn scan(state: impl AsRef<[u8]>) -> Result<Scan, ScanError> {
    scan_by(state.as_ref(), usize::MAX)
}

fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    std::fs::read(path).expect("a fixture is where the package is")
}

const FIXTURES: [&str; 8] = [
    "after-destroy-v4.tfstate",
    "cloud-backend-consumer-v4.tfstate",
    "handwritten-v3.tfstate",
    "local-consumer-v4.tfstate",
    "producer-outputs-v4.tfstate",
    "remote-backend-consumer-v4.tfstate",
    "remote-backend-consumer.show-json.json",
    "v3-upgraded-attributes-flat-v4.tfstate",
];
