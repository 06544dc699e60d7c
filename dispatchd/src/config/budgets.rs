//! `[budgets]` and `[pacing.NAME]`: what may be spent, and how far apart runs start.

use std::collections::BTreeMap;
use std::str::FromStr;

use dispatch_shared::time::Zone;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::core::{budget, pace};
use crate::runner::settings::Span;

/// `[budgets]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budgets {
    /// Whose midnight turns the day; UTC if absent.
    pub time_zone: Option<String>,
    /// Each run.
    pub run: Limit,
    /// All runs of a day.
    pub day: Limit,
    /// By program, or program and model, a day.
    pub programs: BTreeMap<String, Limit>,
}

/// A limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// US dollars.
    pub usd: Option<f64>,
    /// Tokens.
    pub tokens: Option<u64>,
}

impl Limit {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at before")]
    fn policy(self, key: &str) -> Result<budget::Limit, String> {
        if let Some(usd) = self.usd.filter(|usd| !(0.0..=1e9).contains(usd)) {
            return Err(format!("key `budgets.{key}.usd`: {usd} is no number of dollars"));
        }
        Ok(budget::Limit { micros: self.usd.map(|usd| (usd * 1e6).round() as u64), tokens: self.tokens })
    }
}

impl Budgets {
    /// As the core wants them.
    pub(super) fn policy(&self) -> Result<budget::Budgets, String> {
        let zone = self.time_zone.as_deref().map_or(Ok(Zone::default()), Zone::from_str);
        let of = |(name, limit): (&String, &Limit)| {
            Ok::<_, String>((name.clone(), limit.policy(&format!("programs.{name}"))?))
        };
        Ok(budget::Budgets {
            zone: zone.map_err(|e| format!("key `budgets.time_zone`: {e}"))?,
            run: self.run.policy("run")?,
            day: self.day.policy("day")?,
            programs: self.programs.iter().map(of).collect::<Result<_, _>>()?,
        })
    }
}

/// `[pacing.NAME]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pacing {
    /// When the account's day begins, UTC.
    pub reset_utc: Clock,
    /// Runs that start in one such day; 0 is no limit.
    pub daily_limit: u32,
    /// At least so long between two starts.
    pub min_delay: Span,
    /// So long between two starts, but for the burst.
    pub sustained_delay: Span,
    /// So long before the reset what is left may be used faster.
    pub burst_window: Span,
    /// So long between two starts then.
    pub burst_delay: Span,
}

impl Default for Pacing {
    fn default() -> Self {
        let none = Span(std::time::Duration::ZERO);
        Self {
            reset_utc: Clock(0),
            daily_limit: 0,
            min_delay: none,
            sustained_delay: none,
            burst_window: none,
            burst_delay: none,
        }
    }
}

impl Pacing {
    /// As the core wants it.
    pub(super) fn policy(&self) -> pace::Pace {
        pace::Pace {
            reset: self.reset_utc.0,
            daily_limit: self.daily_limit,
            min_delay: self.min_delay.0,
            sustained_delay: self.sustained_delay.0,
            burst_window: self.burst_window.0.min(std::time::Duration::from_secs(86_400)),
            burst_delay: self.burst_delay.0,
        }
    }
}

/// A time of day, `HH:MM`, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(pub u16);

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let read = text.split_once(':').and_then(|(h, m)| {
            let (h, m): (u16, u16) = (h.parse().ok()?, m.parse().ok()?);
            (h < 24 && m < 60).then_some(Clock(h * 60 + m))
        });
        read.ok_or_else(|| D::Error::custom(format!("`{text}` is no time of day: write 06:00")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_and_what_is_none_is_refused() {
        let read: Budgets = toml::from_str(
            "time_zone = 'Europe/Berlin'\nday = { usd = 12.5 }\nrun = { tokens = 9 }\n[programs]\n'claude:opus' = { usd = 1 }",
        )
        .unwrap();
        let policy = read.policy().unwrap();
        assert_eq!(policy.day.micros, Some(12_500_000));
        assert_eq!((policy.run.tokens, policy.run.micros), (Some(9), None));
        assert_eq!(policy.programs["claude:opus"].micros, Some(1_000_000));
        assert_eq!(policy.zone.to_string(), "Europe/Berlin");
        for (bad, key) in [
            ("time_zone = 'Mars'", "budgets.time_zone"),
            ("day = { usd = -1.0 }", "budgets.day.usd"),
            ("day = { usd = nan }", "budgets.day.usd"),
            ("[programs]\nclaude = { usd = -2.0 }", "budgets.programs.claude.usd"),
        ] {
            let read: Budgets = toml::from_str(bad).unwrap();
            assert!(read.policy().unwrap_err().contains(key), "{bad}");
        }
        assert!(toml::from_str::<Budgets>("day = { dollars = 1 }").is_err());
    }

    #[test]
    fn pacing_is_read() {
        let read: Pacing = toml::from_str(
            "reset_utc = '06:30'\ndaily_limit = 40\nmin_delay = '10s'\nsustained_delay = '15m'\nburst_window = '3h'\nburst_delay = '2m'",
        )
        .unwrap();
        let pace = read.policy();
        assert_eq!((pace.reset, pace.daily_limit), (390, 40));
        assert_eq!(pace.burst_window.as_secs(), 10_800);
        for bad in ["reset_utc = '24:00'", "reset_utc = 'six'", "reset = '06:00'", "min_delay = 5"] {
            assert!(toml::from_str::<Pacing>(bad).is_err(), "{bad}");
        }
    }
}
