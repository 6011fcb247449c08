//! The functions as Lambda takes them: a zip each, with a `bootstrap` in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bins::bootstrap;

/// Every function, by the folder that it lies in. `local` is what runs them on a laptop.
pub fn functions() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != "local").collect();
    names.sort_unstable();
    names
}

/// Packs a function as it was built for this test.
pub fn package(function: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let built = directory.path().join("built");
    fs::create_dir(&built).unwrap();
    let program = bootstrap(function, &built);
    let slim = slim(&program, directory.path());
    let zip = directory.path().join("function.zip");
    let mut python = Command::new("python3");
    python.args(["-m", "zipfile", "-c"]).arg(&zip).arg("bootstrap").current_dir(slim.parent().unwrap());
    assert!(python.status().unwrap().success(), "{function} cannot be packed");
    fs::read(zip).unwrap()
}

/// The program without what only a debugger reads, where there is something to strip it: a third of the bytes.
fn slim(program: &Path, directory: &Path) -> PathBuf {
    let slim = directory.join("bootstrap");
    let stripped = Command::new("strip").arg("-o").arg(&slim).arg(program).status();
    if stripped.is_ok_and(|status| status.success()) { slim } else { program.to_owned() }
}
