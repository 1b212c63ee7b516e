//! Times as people write them: `24h`, `2026-11-23 14:03`, `14:03`, `2026-11-23T14:03Z`.
//!
//! They are in the user's time zone unless the text has another (`Z` or an offset).

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, ZonedDateTime};

use crate::error::{Code, Error};

const RULE: &str = "use a duration (`90s`, `30m`, `24h`, `7d`, `2w`), a date (`2026-11-23`), a time of \
    today (`14:03`), or both (`2026-11-23 14:03`, with `Z` at the end for UTC)";

/// A point in time, and its precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    pub time: Timestamp,
    /// The duration that the text names: a minute for `14:03`, a day for `2026-11-23`.
    pub span: SignedDuration,
}

impl When {
    /// The end of that duration.
    pub fn end(&self) -> Timestamp {
        self.time.checked_add(self.span).unwrap_or(Timestamp::MAX)
    }
}

impl std::str::FromStr for When {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text.trim(), &ZonedDateTime::now()).ok_or_else(|| {
            Error::new(Code::Usage, "invalid time")
                .cause("expected a duration or timestamp")
                .hint(RULE)
        })
    }
}

fn parse(text: &str, now: &ZonedDateTime) -> Option<When> {
    let second = SignedDuration::from_secs(1);
    if text == "now" {
        return Some(When {
            time: now.timestamp(),
            span: second,
        });
    }
    if let Some(ago) = relative(text) {
        return Some(When {
            time: now.timestamp().checked_sub(ago).ok()?,
            span: second,
        });
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(When {
            time,
            span: precision(text),
        });
    }
    let (text, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(text) => (text, TimeZone::UTC),
        None => (text, now.time_zone().clone()),
    };
    let day = |date: Date| match text {
        "today" | "yesterday" => Some(date),
        _ => text.parse().ok(),
    };
    let today = now.with_time_zone(zone.clone()).date();
    let date = day(if text == "yesterday" {
        today.yesterday().ok()?
    } else {
        today
    });
    // A text with a time also parses as a date, so the longer forms come first.
    if text.contains(':') {
        let moment = match text.parse::<DateTime>() {
            Ok(moment) => moment,
            Err(_) => today.to_datetime(text.parse::<Time>().ok()?),
        };
        let time = moment.to_zoned_datetime(zone).ok()?.timestamp();
        return Some(When {
            time,
            span: precision(text),
        });
    }
    let begin = date?.to_zoned_datetime(zone).ok()?;
    let end = begin.checked_add(1.day()).ok()?;
    Some(When {
        time: begin.timestamp(),
        span: begin.duration_until(&end),
    })
}

/// `24h`, `7d`, `1h30m`. A day here has 24 hours.
fn relative(text: &str) -> Option<SignedDuration> {
    let mut total = SignedDuration::ZERO;
    let mut rest = text.strip_suffix(" ago").unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let number: i64 = number.parse().ok()?;
        let unit = after.chars().next()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::from_secs(number.checked_mul(seconds)?))?;
        rest = after.get(unit.len_utf8()..)?;
    }
    Some(total)
}

/// The precision of a time of day: a minute without seconds, otherwise a second.
fn precision(text: &str) -> SignedDuration {
    let clock = text.split(['T', 't', ' ']).next_back().unwrap_or(text);
    let clock = clock.split(['+', '-', 'Z', 'z']).next().unwrap_or(clock);
    SignedDuration::from_secs(if clock.matches(':').count() < 2 {
        60
    } else {
        1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        #[track_caller]
        fn case(now: &ZonedDateTime, text: &str, expected: &str, seconds: i64) {
            let when = parse(text, now).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(when.time.to_string(), expected, "{text}");
            assert_eq!(when.span.as_secs(), seconds, "{text}");
        }
        // Two hours before UTC, so that a mistake shows.
        let now: ZonedDateTime = "2026-11-23T15:30:00+02:00[Etc/GMT-2]".parse().unwrap();
        case(&now, "24h", "2026-11-22T13:30:00Z", 1);
        case(&now, "1h30m", "2026-11-23T12:00:00Z", 1);
        case(&now, "7d ago", "2026-11-16T13:30:00Z", 1);
        case(&now, "now", "2026-11-23T13:30:00Z", 1);
        case(&now, "14:03", "2026-11-23T12:03:00Z", 60);
        case(&now, "14:03:09", "2026-11-23T12:03:09Z", 1);
        case(&now, "14:03Z", "2026-11-23T14:03:00Z", 60);
        case(&now, "2026-11-20", "2026-11-19T22:00:00Z", 86_400);
        case(&now, "2026-11-20Z", "2026-11-20T00:00:00Z", 86_400);
        case(&now, "today", "2026-11-22T22:00:00Z", 86_400);
        case(&now, "yesterday", "2026-11-21T22:00:00Z", 86_400);
        case(&now, "2026-11-20 14:03", "2026-11-20T12:03:00Z", 60);
        case(&now, "2026-11-20T14:03:00", "2026-11-20T12:03:00Z", 1);
        case(&now, "2026-11-20T14:03:00Z", "2026-11-20T14:03:00Z", 1);
        case(&now, "2026-11-20T14:03:00-05:00", "2026-11-20T19:03:00Z", 1);
        for bad in [
            "",
            "h",
            "24",
            "24x",
            "tomorrow",
            "25:00",
            "2026-13-01",
            "99999999999999h",
            "é",
        ] {
            assert_eq!(parse(bad, &now), None, "{bad}");
        }
    }
}
