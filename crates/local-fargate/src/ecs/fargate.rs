//! The sizes that Fargate offers (ECS API reference, RegisterTaskDefinition, `cpu`).

use crate::error::ApiError;

/// Memory sizes in MiB that Fargate offers for each number of CPU units: from, to, step.
const SIZES: [(u32, u32, u32, u32); 7] = [
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
    (256, 1024, 2048, 1024),
];

/// Whether Fargate has tasks of this size.
pub(super) fn is_size(cpu: u32, memory: u32) -> bool {
    (cpu, memory) == (256, 512)
        || SIZES.iter().any(|(units, from, to, step)| {
            cpu == *units && (*from..=*to).contains(&memory) && (memory - from).is_multiple_of(*step)
        })
}

/// CPU units and MiB of a task, from numbers or `.25 vCPU` and `0.5 GB`.
pub(super) fn size(cpu: &str, memory: &str) -> Result<(u32, u32), ApiError> {
    let parsed = scaled(cpu, "vcpu").zip(scaled(memory, "gb"));
    let (cpu_units, mib) = parsed
        .ok_or_else(|| ApiError::client(format!("Invalid 'cpu' or 'memory' setting for task: {cpu}, {memory}")))?;
    if is_size(cpu_units, mib) {
        return Ok((cpu_units, mib));
    }
    Err(ApiError::client(format!(
        "No Fargate configuration exists for given values: {cpu_units} CPU, {mib} memory. See the Amazon ECS documentation for the valid values."
    )))
}

fn scaled(text: &str, unit: &str) -> Option<u32> {
    let text = text.trim().to_lowercase();
    match text.strip_suffix(unit) {
        None => text.parse().ok(),
        Some(number) => {
            let scaled = number.trim().parse::<f64>().ok()? * 1024.0;
            // Within what Fargate offers, so far below what fits.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
            let whole = (0.0..=1e6).contains(&scaled).then_some(scaled.round() as u32);
            whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fargate_has_74_sizes() {
        let cpus = [256, 512, 1024, 2048, 4096, 8192, 16_384];
        let all = cpus.iter().flat_map(|cpu| (1..=240).map(move |step| (*cpu, step * 512)));
        assert_eq!(all.filter(|(cpu, memory)| is_size(*cpu, *memory)).count(), 74);
        assert_eq!(size(".25 vCPU", "0.5GB").map_err(|error| error.code), Ok((256, 512)));
        assert_eq!(size("300", "7").map_err(|error| error.code), Err("ClientException"));
    }
}
