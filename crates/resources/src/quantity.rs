//! Amounts as Kubernetes writes them.

/// Whether quantity `a` is smaller than `b`. `false` when one cannot be read.
#[must_use]
pub fn is_smaller(a: &str, b: &str) -> bool {
    bytes(a).zip(bytes(b)).is_some_and(|(a, b)| a < b)
}

/// The amount in bytes; `None` when it is no quantity.
#[must_use]
pub fn bytes(quantity: &str) -> Option<f64> {
    let end = quantity.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')));
    let (number, unit) = quantity.split_at(end.unwrap_or(quantity.len()));
    let number: f64 = number.parse().ok()?;
    let factor = match unit {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number * factor)
}
