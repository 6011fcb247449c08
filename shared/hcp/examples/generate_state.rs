//! Writes a generated state file: `generate_state MEGABYTES FILE`.

#[path = "../benches/stategen/mod.rs"]
mod stategen;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(megabytes), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: generate_state MEGABYTES FILE".into());
    };
    let bytes: usize = megabytes.parse::<usize>()? * 1_000_000;
    let truth = stategen::write(bytes, &mut BufWriter::new(File::create(path)?))?;
    println!("{} references, {} outputs, {} bytes", truth.references, truth.outputs, truth.bytes);
    Ok(())
}
