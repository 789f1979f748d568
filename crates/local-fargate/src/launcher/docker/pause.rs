//! The image whose containers hold a task's network: one program that sleeps for ever, written here instruction by instruction, so
//! that no registry and no compiler is needed.

use std::collections::HashMap;

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::TryStreamExt as _;

use super::DockerError;

/// Where the program is in its image.
pub(super) const PROGRAM: &str = "/pause";
/// Where the program is loaded: any page will do.
const BASE: u64 = 0x40_0000;
/// Lengths of an ELF header and of one program header (ELF-64 object file format, figures 2 and 6).
const HEADER: u16 = 64;
const PROGRAM_HEADER: u16 = 56;

/// Makes the image and returns its name.
pub(super) async fn import(
    docker: &Docker,
    architecture: String,
    labels: &HashMap<String, String>,
    instance: &str,
) -> Result<String, DockerError> {
    let program = executable(&architecture).ok_or(DockerError::Architecture(architecture))?;
    let archive = archive(&program).map_err(|error| DockerError::Refused(error.to_string()))?;
    let mut changes = vec![format!("ENTRYPOINT [\"{PROGRAM}\"]")];
    changes.extend(labels.iter().map(|(name, value)| format!("LABEL {name}=\"{value}\"")));
    let repository = "local-fargate-pause";
    let options =
        CreateImageOptionsBuilder::default().from_src("-").repo(repository).tag(instance).changes(changes).build();
    let body = bollard::body_full(archive.into());
    docker.create_image(Some(options), Some(body), None).try_collect::<Vec<_>>().await?;
    Ok(format!("{repository}:{instance}"))
}

fn archive(program: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o555);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, PROGRAM.trim_start_matches('/'), program)?;
    archive.into_inner()
}

/// A static executable for the machine, as Docker names it; `None` for one that we do not know.
fn executable(architecture: &str) -> Option<Vec<u8>> {
    // Machine numbers are ELF's EM_X86_64 and EM_AARCH64.
    let (machine, code): (u16, &[u8]) = match architecture {
        // mov eax, 34 (pause); syscall; jmp back to the first.
        "x86_64" | "amd64" => (62, &[0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]),
        // mov x0..x4, #0; mov x8, #73 (ppoll); svc #0; b back to the first.
        "aarch64" | "arm64" => (
            183,
            &[
                0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00, 0x80, 0xd2, 0x04,
                0x00, 0x80, 0xd2, 0x28, 0x09, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xf9, 0xff, 0xff, 0x17,
            ],
        ),
        _ => return None,
    };
    let code_at = u64::from(HEADER + PROGRAM_HEADER);
    let length = code_at + code.len() as u64;
    // Class 64, little-endian, version 1, then padding.
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let short = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
    // Executable, machine, version.
    short(&mut file, 2);
    short(&mut file, machine);
    word(&mut file, 1);
    // Entry point, program headers, no section headers, no flags.
    long(&mut file, BASE + code_at);
    long(&mut file, u64::from(HEADER));
    long(&mut file, 0);
    word(&mut file, 0);
    // Sizes and counts of headers.
    for value in [HEADER, PROGRAM_HEADER, 1, 0, 0, 0] {
        short(&mut file, value);
    }
    // One segment to load, readable and executable: the whole file.
    word(&mut file, 1);
    word(&mut file, 5);
    for value in [0, BASE, BASE, length, length, 0x1000] {
        long(&mut file, value);
    }
    file.extend(code);
    Some(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_runs_until_it_is_killed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pause");
        std::fs::write(&path, executable(std::env::consts::ARCH).expect("a machine we know")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("ours");
        let mut child = std::process::Command::new(&path).spawn().expect("it starts");
        let proc = format!("/proc/{}/stat", child.id());
        // S: it sleeps. Until then it is being loaded.
        while !std::fs::read_to_string(&proc).expect("it lives").contains(") S ") {
            std::thread::yield_now();
        }
        child.kill().expect("it lives");
        let status = child.wait().expect("a status");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }

    #[test]
    fn other_machines_are_told_apart() {
        assert_eq!(executable("aarch64").map(|file| file.len()), Some(64 + 56 + 32));
        assert_eq!(executable("riscv64"), None);
    }
}
