//! The scanner finds what the oracle finds, however the state is spelled and cut.

use proptest::prelude::*;

use super::printer::{Random, Style};
use super::{FIXTURES, digester, fixture, hostile, oracle, scan, scan_by};
use crate::state::{Scan, ScanError, ScanErrorKind, Scanner};

/// The default is 256; set `PROPTEST_CASES` for more.
const CASES: u32 = 4;

fn generate(seed: u64) -> (String, Style) {
    let mut random = Random::new(seed);
    let style = Style {
        spaces: random.one_in(2),
        shuffled: random.one_in(2),
        escapes: random.pick(&[0, 0, 2, 9]),
        repeats: random.pick(&[0, 0, 0, 4, 12]),
    };
    let mut text = String::new();
    style.print(&hostile::state(&mut random), &mut random, &mut text);
    (text, style)
}

/// Cuts `state` anywhere, within letters too.
fn scan_cut(state: &[u8], random: &mut Random) -> Result<Scan, ScanError> {
    let mut scanner = Scanner::new(digester());
    let longest = random.pick(&[1, 3, 70, 300, 5000]);
    let mut rest = state;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(random.below(longest + 1).min(rest.len()));
        scanner.push(chunk)?;
        rest = behind;
    }
    scanner.finish()
}

/// The oracle's maps have no order.
fn sorted(mut scan: Scan) -> Scan {
    if scan.version == 3 {
        scan.references.sort_by(|one, other| one.address.cmp(&other.address));
    }
    scan
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES * ProptestConfig::default().cases, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_finds_what_the_oracle_finds(seed: u64) {
        let (state, style) = generate(seed);
        let whole = scan(&state);
        let cut = scan_cut(state.as_bytes(), &mut Random::new(seed ^ 0xff));
        prop_assert_eq!(&whole, &cut, "cuts change nothing: {}", state);
        match whole {
            Ok(found) => {
                let expected = oracle::read(state.as_bytes()).map(sorted);
                prop_assert_eq!(Some(sorted(found)), expected, "{}", state);
            }
            // What is refused though it is legal, and only where keys are repeated: an earlier value may be of another
            // type, or have decided already.
            Err(error) => {
                let kinds = matches!(error.kind, ScanErrorKind::LateDuplicate | ScanErrorKind::WrongType { .. });
                prop_assert!(kinds && style.repeats > 0, "{}: {}", error, state);
            }
        }
    }

    #[test]
    fn a_flipped_bit_never_panics(seed: u64) {
        let (state, _) = generate(seed);
        let mut state = state.into_bytes();
        let mut random = Random::new(seed ^ 0xf0f0);
        for _ in 0..=random.below(3) {
            let at = random.below(state.len());
            state[at] ^= 1 << random.below(8);
        }
        let whole = scan(&state);
        prop_assert_eq!(&whole, &scan_cut(&state, &mut random));
        // It does not check what it steps over, so it may accept more than the oracle. The oracle's numbers are not
        // exact, so only names are compared.
        if let (Ok(whole), Some(expected)) = (whole, oracle::read(&state)) {
            prop_assert!(whole.outputs.keys().eq(expected.outputs.keys()), "{:?}", String::from_utf8(state));
            prop_assert_eq!(whole.references.len(), expected.references.len(), "{:?}", String::from_utf8(state));
        }
    }

    #[test]
    fn a_truncated_state_is_refused(seed: u64) {
        let (state, _) = generate(seed);
        let end = Random::new(seed ^ 0x77).below(state.len());
        prop_assert!(scan(&state.as_bytes()[..end]).is_err());
    }
}

#[test]
fn the_real_files_agree_with_the_oracle_at_every_chunk_size() {
    for name in FIXTURES {
        let state = fixture(name);
        let expected = oracle::read(&state).map(sorted);
        // Blocks are of 64 bytes, and chunks that are no power of two put every cut everywhere.
        for size in (1..=64).chain([100, 1000, 4096, usize::MAX]) {
            assert_eq!(scan_by(&state, size).map(sorted).ok(), expected, "{name} by {size}");
        }
    }
}
