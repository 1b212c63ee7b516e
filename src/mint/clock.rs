//! When a credential is extended, when it is replaced, and when it ends.
//!
//! All times are since boot, sleep included: a laptop that slept through the end of a credential has to
//! notice. A life is counted from when the request was sent, so that the credential never ends earlier
//! at its issuer than here.

use std::time::Duration;

use crate::store::source::MintLife;

/// The earliest and the latest point of a replacement, in thousandths of the life: 2/3 ± 10 %.
const REPLACE_AT: (u32, u32) = (567, 767);
/// The first pause after a failure, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// How long a request to a maker may take that is no store.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// At least this often the clock is looked at: a sleeping machine does not end a wait.
pub const LOOK: Duration = Duration::from_secs(30);

/// How one credential ages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MintClock {
    sent: Duration,
    life: MintLife,
    /// Thousandths of the life.
    replace_at: u32,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MintDue {
    /// Nothing, until this time since boot; `None`: the end is not known.
    Later(Option<Duration>),
    /// The credential can live longer with the same value.
    Extend,
    /// A new one has to be made.
    Replace,
    /// It has ended.
    Over,
}

impl MintClock {
    /// `sent`: when the request was sent, since boot. `random` spreads the replacements of many sessions.
    pub fn new(sent: Duration, life: MintLife, random: u8) -> Self {
        let (first, last) = REPLACE_AT;
        Self {
            sent,
            life,
            replace_at: first + (last - first) * u32::from(random) / 255,
        }
    }

    /// When it ends, since boot; `None` if the issuer does not say.
    pub fn end(&self) -> Option<Duration> {
        let life = Duration::from_secs(self.life.seconds?);
        Some(self.sent.saturating_add(life))
    }

    /// What is due at this time since boot.
    pub fn due(&self, now: Duration) -> MintDue {
        let Some(seconds) = self.life.seconds else {
            return MintDue::Later(None);
        };
        let life = Duration::from_secs(seconds);
        let age = now.saturating_sub(self.sent);
        let replace = life.saturating_mul(self.replace_at) / 1000;
        let extend = if self.life.is_extendable {
            life / 2
        } else {
            replace
        };
        if age >= life {
            MintDue::Over
        } else if age >= replace {
            MintDue::Replace
        } else if age >= extend {
            MintDue::Extend
        } else {
            MintDue::Later(Some(self.sent.saturating_add(extend.min(replace))))
        }
    }
}

/// The pauses between attempts that fail: they double, with a part that is random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MintPause {
    failures: u32,
    until: Option<Duration>,
}

impl MintPause {
    /// Whether an attempt may begin. `Err`: when, since boot.
    pub fn may_begin(&self, now: Duration) -> Result<(), Duration> {
        match self.until {
            Some(until) if now < until => Err(until),
            _ => Ok(()),
        }
    }

    /// An attempt begins; if it succeeds, this is dropped with the old credential.
    pub fn begin(&mut self, now: Duration, random: u8) {
        let (first, longest) = PAUSE;
        let pause = first.saturating_mul(1 << self.failures.min(6)).min(longest);
        self.failures = self.failures.saturating_add(1);
        // Between half of it and all of it.
        self.until = Some(now + pause / 2 + pause * u32::from(random) / 510);
    }
}

/// A number from 0 to 255.
pub fn random() -> u8 {
    let mut byte = [0];
    // Without random bytes, sessions renew at the same time.
    match getrandom::fill(&mut byte) {
        Ok(()) => byte.first().copied().unwrap_or(128),
        Err(_) => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn clock(seconds: Option<u64>, is_extendable: bool, random: u8) -> MintClock {
        let life = MintLife {
            seconds,
            is_extendable,
        };
        MintClock::new(100 * S, life, random)
    }

    #[test]
    fn a_life_has_its_points() {
        let fixed = clock(Some(3600), false, 128);
        assert_eq!(
            fixed.due(100 * S),
            MintDue::Later(Some(fixed.sent + 3600 * S * 667 / 1000))
        );
        assert_eq!(fixed.due(100 * S + 2500 * S), MintDue::Replace);
        assert_eq!(
            (fixed.due(3700 * S), fixed.end()),
            (MintDue::Over, Some(3700 * S))
        );
        let lease = clock(Some(8), true, 0);
        assert_eq!(lease.due(103 * S), MintDue::Later(Some(104 * S)));
        assert_eq!(
            (lease.due(104 * S), lease.due(105 * S)),
            (MintDue::Extend, MintDue::Replace)
        );
        assert_eq!(
            clock(None, false, 0).due(9_999_999 * S),
            MintDue::Later(None)
        );
        // Issuers may say any number.
        let endless = clock(Some(u64::MAX), true, 255);
        assert!(matches!(endless.due(9999 * S), MintDue::Later(Some(_))));
        assert!(endless.end() > Some(Duration::from_secs(u64::MAX / 2)));
        // A clock that was set back changes nothing: this one cannot be.
        assert_eq!(lease.due(Duration::ZERO), MintDue::Later(Some(104 * S)));
    }

    #[test]
    fn replacements_are_spread_around_two_thirds() {
        let at = |random| match clock(Some(1000), false, random).due(100 * S) {
            MintDue::Later(Some(at)) => at.saturating_sub(100 * S).as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!((at(0), at(255)), (567, 767));
        for random in 0..=255 {
            assert!((567..=767).contains(&at(random)));
        }
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let mut pause = MintPause::default();
        let mut now = 10 * S;
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert_eq!(pause.may_begin(now), Ok(()));
            pause.begin(now, 255);
            let until = pause.may_begin(now).unwrap_err();
            waits.push(until.saturating_sub(now).as_secs());
            now = until;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
