//! Amounts of CPU, memory and the like, as Kubernetes writes them: `500m`, `1.5Gi`, `2e3`.

/// An amount, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Quantity(i128);

impl Quantity {
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|letter: char| !letter.is_ascii_digit() && !".+-".contains(letter)).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (factor, divisor) = factor(suffix)?;
        let fraction = &fraction[..fraction.len().min(9)];
        let shift = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        let amount = whole * shift + if number.starts_with('-') { -part } else { part };
        // What is finer than a thousandth is rounded up, as the server does.
        let (amount, divisor) = (amount * factor * 1000, shift * divisor);
        Some(Self(amount.div_euclid(divisor) + i128::from(amount.rem_euclid(divisor) > 0)))
    }

    pub fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// What a suffix multiplies and divides by.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let decimal = |power: u32| Some((10_i128.pow(power), 1));
    let binary = |power: u32| Some((1024_i128.pow(power), 1));
    match suffix {
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "" => Some((1, 1)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => exponent(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    }
}

fn exponent(power: i32) -> Option<(i128, i128)> {
    let size = 10_i128.pow(power.unsigned_abs().min(18));
    (power.abs() <= 18).then_some(if power < 0 { (1, size) } else { (size, 1) })
}
