//! The functions as programs: built the way this test is built, once each.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The program of the function `name`, built where and how this test was.
pub fn bin(name: &'static str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    // A build that failed poisons the lock: the others need not try.
    BUILT.lock().unwrap().entry(name).or_insert_with(|| build(name)).clone()
}

/// The name of the one program that is not called as its package is.
pub const SLUICE: &str = "sluice";

/// The program of the function `name` as `bootstrap` in `directory`, which is what Lambda looks for.
pub fn bootstrap(name: &'static str, directory: &Path) -> PathBuf {
    let (bin, bootstrap) = (bin(name), directory.join("bootstrap"));
    if std::fs::hard_link(&bin, &bootstrap).is_err() {
        std::fs::copy(&bin, &bootstrap).unwrap();
    }
    bootstrap
}

fn build(name: &str) -> PathBuf {
    // <target>/<profile>/deps/<this test>
    let test = std::env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let package = if name == SLUICE { "sluice-local".to_owned() } else { format!("sluice-{name}") };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--package", &package, "--bin", name])
        .args(["--profile", profile, "--target-dir"])
        .arg(directory.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "{name} does not build");
    directory.join(name).with_extension(std::env::consts::EXE_EXTENSION)
}
