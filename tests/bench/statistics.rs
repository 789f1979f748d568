//! Medians, percentiles, and a row of the table.

use std::fmt;
use std::time::Duration;

/// One row: ours, the peer's, the unit.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    name: String,
    ours: f64,
    peer: Option<(&'static str, f64)>,
    unit: &'static str,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, ours: f64, unit: &'static str) -> Self {
        Self { name: name.into(), ours, peer: None, unit }
    }

    pub(crate) const fn against(mut self, peer: &'static str, value: f64) -> Self {
        self.peer = Some((peer, value));
        self
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "figure": self.name,
            "ours": self.ours,
            "peer": self.peer.map(|(name, _)| name),
            "peerValue": self.peer.map(|(_, value)| value),
            "ratio": self.ratio(),
            "unit": self.unit,
        })
    }

    /// Ours in the peer's; none where that is no number, as of two that cost nothing.
    fn ratio(&self) -> Option<f64> {
        self.peer.map(|(_, value)| self.ours / value).filter(|ratio| ratio.is_finite())
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<46} {:>10.3} ", self.name, self.ours)?;
        match self.peer {
            Some((name, value)) => {
                let ratio = self.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
                write!(f, "{value:>10.3} {ratio:>7}  {} ({name})", self.unit)
            }
            None => write!(f, "{:>10} {:>7}  {}", "-", "-", self.unit),
        }
    }
}

/// The value below which this share of the samples lies, in milliseconds.
pub(crate) fn percentile(samples: &mut [Duration], share: f64) -> f64 {
    samples.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a short list")]
    let index = ((samples.len() - 1) as f64 * share).round() as usize;
    samples.get(index).map_or(0.0, |sample| sample.as_secs_f64() * 1e3)
}

/// The median, in milliseconds.
pub(crate) fn median(samples: &mut [Duration]) -> f64 {
    percentile(samples, 0.5)
}

/// The value in the middle, of samples that are no times; 0 of none.
pub(crate) fn middle(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}
