//! What a run cost where its program tells tokens and no money: a table of prices by model, built in from
//! `assets/prices.toml`, with the operator's laid over it.

use std::collections::BTreeMap;

use dispatch_shared::run::Usage;
use serde::Deserialize;

const BUILT_IN: &str = include_str!("../../../assets/prices.toml");

/// US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Read.
    pub input: f64,
    /// Read from a cache; as dear as the rest if absent.
    #[serde(default)]
    pub cached: Option<f64>,
    /// Written or thought.
    pub output: f64,
}

/// All prices.
#[derive(Clone, Debug)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// The built-in prices with `user` laid over them.
    ///
    /// # Errors
    /// A sentence that names the model whose price is none.
    pub fn new(user: &BTreeMap<String, Price>) -> Result<Self, String> {
        let mut all: BTreeMap<String, Price> =
            toml::from_str(BUILT_IN).map_err(|e| format!("assets/prices.toml: {e}"))?;
        all.extend(user.iter().map(|(name, price)| (name.to_lowercase(), *price)));
        for (name, price) in &all {
            let fine = |p: f64| p.is_finite() && p >= 0.0;
            if !fine(price.input) || !fine(price.output) || !price.cached.is_none_or(fine) {
                return Err(format!("prices.{name}: a price is a number of dollars, 0 or more"));
            }
        }
        Ok(Self(all))
    }

    /// The price of `model`: of the longest name that it begins with, whatever provider stands before it.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<Price> {
        let lower = model.to_lowercase();
        let bare = lower.rsplit('/').next().unwrap_or_default();
        let fits = self.0.iter().filter(|(name, _)| lower.starts_with(*name) || bare.starts_with(*name));
        fits.max_by_key(|(name, _)| name.len()).map(|(_, price)| *price)
    }

    /// `usage` with the cost that its tokens have at `model`, if the program told none and a price is known.
    #[must_use]
    pub fn reckon(&self, model: Option<&str>, usage: Usage) -> Usage {
        let price = model.and_then(|m| self.of(m)).filter(|_| usage.cost_usd.is_none() && usage.tokens() > 0);
        let Some(price) = price else { return usage };
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let cost = millions(usage.input_tokens - cached) * price.input
            + millions(cached) * price.cached.unwrap_or(price.input)
            + millions(usage.output_tokens + usage.reasoning_tokens) * price.output;
        Usage { cost_usd: Some(cost), estimated: true, ..usage }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no run uses 2^52 tokens")]
fn millions(tokens: u64) -> f64 {
    tokens as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_counts() {
        let prices = Prices::new(&BTreeMap::new()).unwrap();
        let output = |model: &str| prices.of(model).map(|p| p.output);
        assert_eq!(output("gpt-5.1-codex"), Some(10.0));
        assert_eq!(output("gpt-5-mini-2025"), Some(2.0));
        assert_eq!(output("openrouter/openai/GPT-5"), Some(10.0));
        assert_eq!(output("claude-opus-4-8[1m]"), Some(25.0));
        assert_eq!(output("fake-model"), None);
    }

    #[test]
    fn what_a_program_does_not_tell_is_reckoned_and_said_so() {
        let user: BTreeMap<String, Price> = toml::from_str("Mine = { input = 10.0, output = 20.0 }").unwrap();
        let prices = Prices::new(&user).unwrap();
        let used = Usage {
            input_tokens: 2_000_000,
            cached_tokens: 800_000,
            output_tokens: 90_000,
            reasoning_tokens: 10_000,
            ..Usage::default()
        };
        let reckoned = prices.reckon(Some("mine"), used);
        assert_eq!((reckoned.cost_usd, reckoned.estimated), (Some(22.0), true));
        let gpt = prices.reckon(Some("gpt-5"), used).cost_usd.unwrap();
        assert!((gpt - (1.5 + 0.1 + 1.0)).abs() < 1e-9, "{gpt}");
        let told = Usage { cost_usd: Some(0.5), ..used };
        assert_eq!(prices.reckon(Some("mine"), told), told, "what the program tells stands");
        assert_eq!(prices.reckon(Some("unheard-of"), used).cost_usd, None);
        assert_eq!(prices.reckon(None, used).cost_usd, None);
        assert_eq!(prices.reckon(Some("free"), used).cost_usd, Some(0.0));
    }

    #[test]
    fn a_price_below_nothing_is_refused() {
        let user: BTreeMap<String, Price> = toml::from_str("x = { input = -1.0, output = 2.0 }").unwrap();
        assert!(Prices::new(&user).unwrap_err().contains("prices.x"));
        assert!(toml::from_str::<BTreeMap<String, Price>>("x = { input = 1, outptu = 2 }").is_err());
    }
}
