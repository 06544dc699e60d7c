//! Instants and spans as Dispatch keeps them: whole milliseconds, UTC.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Milliseconds since the Unix epoch. On the wire ISO-8601 in UTC with `Z`; in the store an integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Reads ISO-8601 with a zone (`2026-11-20T10:00:00Z`, `…+01:00`).
    ///
    /// # Errors
    /// A sentence that names the text, if it is no instant.
    pub fn parse(text: &str) -> Result<Self, String> {
        jiff::Timestamp::from_str(text)
            .map(|t| Timestamp(t.as_millisecond()))
            .map_err(|_| format!("`{text}` is not an ISO-8601 time with a zone, like 2026-11-20T10:00:00Z"))
    }

    /// The time that has passed since `earlier`; zero if `earlier` lies ahead.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(span)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i64(self.0) }
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "ISO-8601; answered in UTC with `Z`, taken with any zone."
        })
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            Timestamp::parse(&text).map_err(D::Error::custom)
        } else {
            i64::deserialize(d).map(Timestamp)
        }
    }
}

/// A time zone, for what goes by the operator's day: when a day begins, and which one an instant belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(jiff::tz::TimeZone);

impl Default for Zone {
    /// UTC.
    fn default() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }
}

impl FromStr for Zone {
    type Err = String;
    /// Reads a name like `UTC` or `Europe/Berlin`.
    fn from_str(name: &str) -> Result<Self, String> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self::default());
        }
        jiff::tz::TimeZone::get(name)
            .map(Self)
            .map_err(|_| format!("`{name}` is no time zone: write UTC, or a name like Europe/Berlin"))
    }
}

impl Zone {
    /// The day that `at` belongs to: days since 1970-01-01 on that zone's calendar.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> i32 {
        let Some(there) = self.there(at) else { return 0 };
        let epoch = jiff::civil::date(1970, 1, 1);
        (there.date() - epoch).get_days()
    }

    /// When the day after the one of `at` begins; `at` itself if the calendar ends before.
    #[must_use]
    pub fn next_day(&self, at: Timestamp) -> Timestamp {
        let next = self.there(at).and_then(|there| there.tomorrow().ok()?.start_of_day().ok());
        next.map_or(at, |day| Timestamp(day.timestamp().as_millisecond()))
    }

    /// The date of a [`day`](Self::day): `2026-11-20`.
    #[must_use]
    pub fn date(day: i32) -> String {
        let epoch = jiff::civil::date(1970, 1, 1);
        epoch
            .checked_add(jiff::Span::new().days(day))
            .map_or_else(|_| day.to_string(), |date| date.to_string())
    }

    fn there(&self, at: Timestamp) -> Option<jiff::Zoned> {
        Some(jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(self.0.clone()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_utc() {
        let t = Timestamp::parse("2026-11-20T11:00:00.25+01:00").unwrap();
        assert_eq!(t.to_string(), "2026-11-20T10:00:00.250Z");
        assert!(Timestamp::parse("yesterday").unwrap_err().contains("`yesterday`"));
        assert!(Timestamp::parse("2026-11-20T11:00:00").is_err(), "a time without a zone is refused");
    }

    #[test]
    fn spans_never_go_below_zero() {
        let (a, b) = (Timestamp(1_000), Timestamp(3_000));
        assert_eq!(b.since(a), Duration::from_secs(2));
        assert_eq!(a.since(b), Duration::ZERO);
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_zone() {
        let at = Timestamp::parse("2026-11-20T23:30:00Z").unwrap();
        let (utc, berlin) = (Zone::default(), "Europe/Berlin".parse::<Zone>().unwrap());
        assert_eq!(berlin.day(at), utc.day(at) + 1, "it is tomorrow there already");
        assert_eq!(utc.next_day(at).to_string(), "2026-11-21T00:00:00.000Z");
        assert_eq!(berlin.next_day(at).to_string(), "2026-11-21T23:00:00.000Z");
        // The night in which the clocks go back has 25 hours.
        let autumn = Timestamp::parse("2026-10-24T22:00:00Z").unwrap();
        assert_eq!(berlin.next_day(autumn).since(autumn), Duration::from_secs(25 * 3_600));
        assert!("Europe/Nowhere".parse::<Zone>().unwrap_err().contains("Europe/Nowhere"));
        assert_eq!(utc.day(Timestamp(0)), 0);
        assert_eq!(Zone::date(berlin.day(at)), "2026-11-21");
    }
}
