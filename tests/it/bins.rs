//! The project's programs: built the way this test is built, all at once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program `name`, built where and how this test was.
pub fn bin(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

/// The program of the function `name` as `bootstrap` in `directory`, which is what Lambda looks for.
pub fn bootstrap(name: &str, directory: &Path) -> PathBuf {
    let (bin, bootstrap) = (bin(name), directory.join("bootstrap"));
    if std::fs::hard_link(&bin, &bootstrap).is_err() {
        std::fs::copy(&bin, &bootstrap).unwrap();
    }
    bootstrap
}

/// Builds them, and returns where they are. The whole workspace, as that is what the tests were built from: a package
/// by itself would have its dependencies built once more, with other features.
fn build() -> PathBuf {
    // <target>/<profile>/deps/<this test>
    let test = std::env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo told this test of itself is no concern of another build: ring's would be done over for it, and with it
    // all that depends on that, and once more for the next build of the tests.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_")) {
        cargo.env_remove(name);
    }
    cargo.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
    let status = cargo
        .args(["build", "--locked", "--quiet", "--workspace", "--bins", "--profile", profile, "--target-dir"])
        .arg(directory.parent().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "the programs do not build");
    directory.to_owned()
}

/// Whether what users' scripts are made of is there; if not, says what a test skips for.
pub fn scripts_can_run() -> bool {
    let has = |program: &&str| {
        let version = std::process::Command::new(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    let missing: Vec<_> = ["curl", "jq"].into_iter().filter(|program| !has(program)).collect();
    if !missing.is_empty() {
        println!("skipped: {} is not there", missing.join(", "));
    }
    missing.is_empty()
}
