//! What a run costs, estimated: list prices of us-east-1, on-demand. Other regions cost 10 to 30 % more, Spot less.

use std::time::Duration;

/// US dollars per vCPU-hour on X86_64 and ARM64 (aws.amazon.com/fargate/pricing, us-east-1, Linux).
const VCPU_HOUR: [f64; 2] = [0.04048, 0.03238];
/// US dollars per GB-hour of memory on X86_64 and ARM64.
const GB_HOUR: [f64; 2] = [0.004_445, 0.003_56];
/// US dollars per GB-hour of ephemeral storage beyond the free 20 GB.
const STORAGE_GB_HOUR: f64 = 0.000_111;
/// Ephemeral storage that costs nothing, in GiB.
const STORAGE_FREE_GIB: u32 = 20;
/// US dollars per hour of a public IPv4 address.
const PUBLIC_IPV4_HOUR: f64 = 0.005;
/// Fargate bills by the second, but at least a minute.
const BILLED_AT_LEAST: Duration = Duration::from_secs(60);

/// The size that is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// CPU units; 1024 is one vCPU.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    /// Ephemeral storage in GiB.
    pub storage: u32,
    /// ARM64 instead of X86_64.
    pub arm64: bool,
    /// With a public IPv4 address.
    pub public_ipv4: bool,
}

impl Size {
    /// Reads what ECS writes: numbers as text.
    #[must_use]
    pub fn read(cpu: Option<&str>, memory: Option<&str>, storage: Option<u32>, public_ipv4: bool) -> Option<Self> {
        Some(Self {
            cpu: cpu?.parse().ok()?,
            memory: memory?.parse().ok()?,
            storage: storage.unwrap_or(STORAGE_FREE_GIB),
            arm64: false,
            public_ipv4,
        })
    }

    /// US dollars per hour.
    #[must_use]
    pub fn per_hour(&self) -> f64 {
        let architecture = usize::from(self.arm64);
        // Both tables have one entry per architecture, and a bool is 0 or 1.
        let (vcpu, gb) = (VCPU_HOUR[architecture], GB_HOUR[architecture]);
        f64::from(self.cpu) / 1024.0 * vcpu
            + f64::from(self.memory) / 1024.0 * gb
            + f64::from(self.storage.saturating_sub(STORAGE_FREE_GIB)) * STORAGE_GB_HOUR
            + if self.public_ipv4 { PUBLIC_IPV4_HOUR } else { 0.0 }
    }

    /// US dollars for a task that lived this long.
    #[must_use]
    pub fn cost(&self, lived: Duration) -> f64 {
        self.per_hour() * lived.max(BILLED_AT_LEAST).as_secs_f64() / 3600.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: Size = Size { cpu: 256, memory: 512, storage: 20, arm64: false, public_ipv4: false };

    #[test]
    fn the_smallest_task_costs_what_the_price_list_says() {
        assert!((SMALLEST.per_hour() - 0.012_342_5).abs() < 1e-9);
        assert!((Size { arm64: true, ..SMALLEST }.per_hour() - 0.009_875).abs() < 1e-9);
        assert!((Size { public_ipv4: true, ..SMALLEST }.per_hour() - 0.017_342_5).abs() < 1e-9);
    }

    #[test]
    fn a_second_is_billed_as_a_minute() {
        let minute = SMALLEST.per_hour() / 60.0;
        assert!((SMALLEST.cost(Duration::from_secs(1)) - minute).abs() < 1e-12);
        assert!((SMALLEST.cost(Duration::from_secs(120)) - 2.0 * minute).abs() < 1e-12);
    }
}
