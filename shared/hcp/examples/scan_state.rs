//! Scans a state file in chunks of 64 KiB: `scan_state [--read-only] FILE`. With `--read-only` it reads the file the
//! same way and does nothing with it.

use std::error::Error;
use std::fs::File;
use std::io::Read;

use secrecy::SecretSlice;
use sluice_hcp::digest::Digester;
use sluice_hcp::state::Scanner;

fn main() -> Result<(), Box<dyn Error>> {
    let (options, paths): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let [path] = paths.as_slice() else {
        return Err("usage: scan_state [--read-only] FILE".into());
    };
    let read_only = options.iter().any(|option| option == "--read-only");
    let mut scanner = Scanner::new(Digester::new(&SecretSlice::from(b"example".to_vec())));
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        let len = file.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        bytes += len;
        if !read_only {
            scanner.push(&buffer[..len])?;
        }
    }
    let found = if read_only {
        "nothing".to_owned()
    } else {
        let scan = scanner.finish()?;
        format!("{} references, {} outputs", scan.references.len(), scan.outputs.len())
    };
    println!("{found}, {bytes} bytes, peak {} KiB", peak_kib().as_deref().unwrap_or("?"));
    Ok(())
}

/// The most memory this process has held, where the system tells.
fn peak_kib() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next().map(str::to_owned)
}
