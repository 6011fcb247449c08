//! Amounts of CPU, memory and storage as Kubernetes writes them.

use std::cmp::Ordering;

/// Billionths: the finest that Kubernetes counts.
const UNIT: u128 = 1_000_000_000;
/// More than anybody has: what Kubernetes takes for the most, 2^63 - 1.
const MOST: u128 = (1 << 63) - 1;

/// An amount, in billionths of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quantity(u128);

impl Quantity {
    /// Reads `100m`, `0.5`, `1e3`, `512Mi`, `2G`. None if it is no amount, or less than nothing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && part.is_empty()) || part.contains('.') || whole.len() + part.len() > 30 {
            return None;
        }
        let digits: u128 = format!("0{whole}{part}").parse().ok()?;
        let scale = Scale::parse(suffix)?;
        let tens = scale.tens.checked_sub(i32::try_from(part.len()).ok()?)?.checked_add(9)?;
        let amount = digits.checked_mul(scale.times)?;
        let amount = if tens >= 0 {
            amount.checked_mul(10_u128.checked_pow(tens.unsigned_abs())?)?
        } else {
            // Finer than it can be counted is rounded up.
            amount.div_ceil(10_u128.checked_pow(tens.unsigned_abs())?)
        };
        (amount <= MOST * UNIT).then_some(Self(amount))
    }
}

/// The larger of two amounts, as written; the first if that cannot be said.
pub(super) fn larger<'a>(one: &'a str, other: &'a str) -> &'a str {
    match Quantity::parse(one).partial_cmp(&Quantity::parse(other)) {
        Some(Ordering::Less) => other,
        _ => one,
    }
}

/// What a suffix says.
struct Scale {
    times: u128,
    tens: i32,
}

impl Scale {
    fn parse(suffix: &str) -> Option<Self> {
        let tens = |tens| Some(Self { times: 1, tens });
        let binary = |power: u32| Some(Self { times: 1 << (10 * power), tens: 0 });
        match suffix {
            "n" => tens(-9),
            "u" => tens(-6),
            "m" => tens(-3),
            "" => tens(0),
            "k" => tens(3),
            "M" => tens(6),
            "G" => tens(9),
            "T" => tens(12),
            "P" => tens(15),
            "E" => tens(18),
            "Ki" => binary(1),
            "Mi" => binary(2),
            "Gi" => binary(3),
            "Ti" => binary(4),
            "Pi" => binary(5),
            "Ei" => binary(6),
            _ => {
                let exponent = suffix.strip_prefix(['e', 'E'])?;
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                tens(exponent.parse::<i32>().ok().filter(|tens| plain && tens.abs() <= 30)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Quantity, UNIT, larger};

    #[test]
    fn amounts_are_read_as_kubernetes_writes_them() {
        for (text, billionths) in [
            ("0", 0),
            ("1", UNIT),
            ("+1", UNIT),
            ("100m", UNIT / 10),
            ("0.5", UNIT / 2),
            (".5", UNIT / 2),
            ("5.", 5 * UNIT),
            ("1n", 1),
            ("0.1n", 1),
            ("1e3", 1_000 * UNIT),
            ("1E3", 1_000 * UNIT),
            ("12e-1", UNIT * 12 / 10),
            ("1k", 1_000 * UNIT),
            ("1Ki", 1_024 * UNIT),
            ("1.5Gi", 3 * 512 * 1_024 * 1_024 * UNIT),
            ("7Ei", 7 * (1 << 60) * UNIT),
        ] {
            assert_eq!(Quantity::parse(text), Some(Quantity(billionths)), "{text}");
        }
        for text in ["", ".", "m", "-1", "1 Gi", "1gi", "1Kib", "1.2.3", "1e", "1e+", "1e3m", "9Ei", "1e99", "Gi", "1K"]
        {
            assert_eq!(Quantity::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn amounts_compare_across_their_suffixes() {
        assert_eq!(larger("1000Mi", "1Gi"), "1Gi");
        assert_eq!(larger("1100m", "1"), "1100m");
        assert_eq!(larger("1", "1000m"), "1");
    }
}
