//! Which seeds a test tries, where the environment says it.

use std::env;
use std::ops::RangeInclusive;

/// One seed, in place of the attribute's.
pub(super) const ONE: &str = "LOOPBIND_SEED";

/// A range of them.
const MANY: &str = "LOOPBIND_SEEDS";

/// The seeds to try instead of those that an attribute says, or what is wrong with how they are
/// written. One seed goes before many.
pub(super) fn of_environment() -> Result<Option<RangeInclusive<u64>>, String> {
    for variable in [ONE, MANY] {
        if let Some(text) = env::var_os(variable).filter(|text| !text.is_empty()) {
            return read(variable, &text.to_string_lossy()).map(Some);
        }
    }
    Ok(None)
}

fn read(variable: &str, text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let seeds = match text.split_once("..") {
        None => number(text).map(|seed| seed..=seed),
        Some(_) if variable == ONE => None,
        Some((first, end)) => number(first)
            .zip(match end.strip_prefix('=') {
                Some(last) => number(last),
                None => number(end).and_then(|end| end.checked_sub(1)),
            })
            .map(|(first, last)| first..=last)
            .filter(|seeds| !seeds.is_empty()),
    };
    seeds.ok_or_else(|| {
        let usage = match variable {
            ONE => "a number, such as 17",
            _ => "a range of numbers that is not empty, such as 0..10000",
        };
        format!("the environment variable {variable} is {text:?}, and takes {usage}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_range_and_what_is_neither_is_said() {
        assert_eq!(read(ONE, "17"), Ok(17..=17));
        assert_eq!(read(MANY, "17"), Ok(17..=17));
        assert_eq!(read(MANY, "0..10000"), Ok(0..=9999));
        assert_eq!(read(MANY, " 3 ..= 18446744073709551615"), Ok(3..=u64::MAX));
        for text in ["", "abc", "..", "5..", "..5", "5..5", "7..=3", "0..0", "-1..3"] {
            let told = read(MANY, text).unwrap_err();
            assert!(told.contains(MANY) && told.contains("0..10000"), "{told}");
        }
        let told = read(ONE, "0..5").unwrap_err();
        assert!(told.contains("LOOPBIND_SEED is \"0..5\"") && told.contains("17"), "{told}");
    }
}
