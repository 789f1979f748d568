//! Sizes of a Fargate task: the CPU it can have, and the memory that goes with it.

use std::ops::RangeInclusive;

use super::values::BadValue;
use super::wrong::UsageError;

/// CPU units of one vCPU.
const UNITS_PER_VCPU: f64 = 1024.0;
/// MiB in one GB, as ECS reads `1GB`.
const MIB_PER_GB: f64 = 1024.0;

/// What one size of CPU can have.
struct Size {
    cpu: u32,
    /// MiB.
    memory: RangeInclusive<u32>,
    /// MiB from one allowed size to the next.
    step: u32,
}

/// Every size but the exception below (ECS developer guide, "Fargate task definition considerations"): 74 pairs in all.
const SIZES: [Size; 7] = [
    Size { cpu: 256, memory: 512..=2048, step: 512 },
    Size { cpu: 512, memory: 1024..=4096, step: 1024 },
    Size { cpu: 1024, memory: 2048..=8192, step: 1024 },
    Size { cpu: 2048, memory: 4096..=16384, step: 1024 },
    Size { cpu: 4096, memory: 8192..=30720, step: 1024 },
    Size { cpu: 8192, memory: 16384..=61440, step: 4096 },
    Size { cpu: 16384, memory: 32768..=122_880, step: 8192 },
];
/// The one hole in the table: a quarter of a vCPU takes 512, 1024 and 2048 MiB.
const HOLE: (u32, u32) = (256, 1536);

/// Looks whether CPU units and MiB go together. Where one is left to the task definition, every value of the other
/// passes.
///
/// # Errors
/// [`UsageError::Size`] with the memory that would do.
pub(super) fn check(cpu: Option<u32>, memory: Option<u32>) -> Result<(), UsageError> {
    let (Some(cpu), Some(memory)) = (cpu, memory) else { return Ok(()) };
    match SIZES.iter().find(|size| size.cpu == cpu) {
        Some(size) if !size.takes(memory) => Err(UsageError::Size { cpu, memory, allowed: size.allowed() }),
        _ => Ok(()),
    }
}

impl Size {
    fn takes(&self, memory: u32) -> bool {
        self.memory.contains(&memory) && memory.is_multiple_of(self.step) && (self.cpu, memory) != HOLE
    }

    fn allowed(&self) -> String {
        if self.cpu == HOLE.0 {
            return "512, 1024 or 2048 MiB".to_owned();
        }
        format!("{} to {} MiB in steps of {}", self.memory.start(), self.memory.end(), self.step)
    }
}

/// CPU units: `256`, or vCPUs as in `0.25`, `.25 vcpu`, `1 vCPU`. A bare number below the smallest size is vCPUs.
pub(super) fn cpu(text: &str) -> Result<u32, BadValue> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, named) = match lower.strip_suffix("vcpu") {
        Some(number) => (number.trim_end(), true),
        None => (lower.as_str(), false),
    };
    let smallest = f64::from(SIZES[0].cpu);
    let units = decimal(number).map(|n| if named || n < smallest { n * UNITS_PER_VCPU } else { n });
    let size = SIZES.iter().find(|size| Some(f64::from(size.cpu)) == units);
    size.map(|size| size.cpu).ok_or_else(|| {
        let hint = "it is 256, 512, 1024, 2048, 4096, 8192 or 16384 units, which is 0.25 to 16 vCPU";
        BadValue::new("is not a CPU size of Fargate", hint)
    })
}

/// MiB: `512`, or GB as in `0.5GB`, `2g`.
pub(super) fn memory(text: &str) -> Result<u32, BadValue> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let mib = match &lower[digits.len()..] {
        "" | "m" | "mb" | "mib" => decimal(digits.trim_end()),
        "g" | "gb" | "gib" => decimal(digits.trim_end()).map(|gb| gb * MIB_PER_GB),
        _ => None,
    };
    let every =
        SIZES.iter().flat_map(|size| size.memory.clone().step_by(size.step as usize).filter(|m| size.takes(*m)));
    every.into_iter().find(|size| Some(f64::from(*size)) == mib).ok_or_else(|| {
        let hint = "it is 512 MiB, or whole GB from `1g` to `120g`; which of them depends on the CPU";
        BadValue::new("is not a memory size of Fargate", hint)
    })
}

/// Digits with at most one point: `1e3`, `inf` and signs are no sizes.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_pairs_as_the_service_takes() {
        let pairs = SIZES.iter().flat_map(|size| (0..=122_880).step_by(512).filter(|memory| size.takes(*memory)));
        assert_eq!(pairs.count(), 74);
    }

    #[test]
    fn cpu_in_units_and_in_vcpus() {
        for (text, units) in [
            ("256", 256),
            ("0.25", 256),
            (".25 vcpu", 256),
            ("1 vCPU", 1024),
            ("1", 1024),
            ("16vCPU", 16384),
            ("4096", 4096),
        ] {
            assert_eq!(cpu(text), Ok(units), "{text}");
        }
        for text in ["", "0", "300", "0.3", "32 vCPU", "-1", "1e3", "vcpu", "inf", "."] {
            assert!(cpu(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_in_mib_and_in_gb() {
        for (text, mib) in
            [("512", 512), ("0.5GB", 512), ("2g", 2048), ("2 GiB", 2048), ("1024MiB", 1024), ("120GB", 122_880)]
        {
            assert_eq!(memory(text), Ok(mib), "{text}");
        }
        for text in ["", "0", "1000", "1536", "2t", "121g", "GB", "1.2.3"] {
            assert!(memory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pair_is_judged_only_when_both_are_known() {
        assert!(check(Some(256), None).is_ok() && check(None, Some(8192)).is_ok());
        assert!(check(Some(256), Some(2048)).is_ok() && check(Some(8192), Some(20480)).is_ok());
        for (cpu, memory) in [(256, 1536), (256, 4096), (512, 512), (8192, 17408), (16384, 36864)] {
            assert!(check(Some(cpu), Some(memory)).is_err(), "{cpu}/{memory}");
        }
    }
}
