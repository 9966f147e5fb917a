//! How time passes, and the words for it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// How a clock that can be moved goes by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeMode {
    /// As fast as the machine's.
    #[default]
    Real,
    /// So many times as fast.
    Scaled(NonZeroU32),
    /// As fast as the machine's, but when all instances sleep it jumps to the moment when the first of them wakes.
    Skip,
    /// Not at all.
    Manual,
}

/// The fastest scaled clock: a day in less than a tenth of a second.
const SCALE_MAX: u32 = 1_000_000;

impl TimeMode {
    /// How many nanoseconds pass in one of the machine's.
    pub(super) fn rate(self) -> u64 {
        match self {
            Self::Real | Self::Skip => 1,
            Self::Scaled(rate) => rate.get().into(),
            Self::Manual => 0,
        }
    }
}

impl fmt::Display for TimeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => f.write_str("real"),
            Self::Scaled(rate) => write!(f, "x{rate}"),
            Self::Skip => f.write_str("skip"),
            Self::Manual => f.write_str("manual"),
        }
    }
}

/// A word that is no [`TimeMode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{word}` is no way for time to pass: `real`, `x60` (60 times as fast, at most x{SCALE_MAX}), `skip` or `manual`"
)]
pub struct NoTimeMode {
    word: String,
}

impl FromStr for TimeMode {
    type Err = NoTimeMode;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let refused = || NoTimeMode { word: word.to_owned() };
        match word {
            "real" => Ok(Self::Real),
            "skip" => Ok(Self::Skip),
            "manual" => Ok(Self::Manual),
            _ => {
                let rate = word.strip_prefix('x').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
                let rate: NonZeroU32 = rate.ok_or_else(refused)?.parse().map_err(|_| refused())?;
                if rate.get() > SCALE_MAX { Err(refused()) } else { Ok(Self::Scaled(rate)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_read_as_it_is_written() {
        for word in ["real", "skip", "manual", "x1", "x60", "x1000000"] {
            assert_eq!(word.parse::<TimeMode>().map(|mode| mode.to_string()).as_deref(), Ok(word));
        }
        for word in ["", "Real", "x", "x0", "x-1", "x+1", "x1.5", "60", "x1000001", "x99999999999"] {
            assert!(word.parse::<TimeMode>().is_err(), "{word}");
        }
    }
}
