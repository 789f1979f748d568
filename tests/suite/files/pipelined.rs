//! Requests that do not wait for one another: a server that answers none before it has several is never waited for in vain.

use std::fs;
use std::path::Path;

use e2e::ancestor;

use super::{content, in_task};
use crate::conformance::python;

/// Requests that have to be there before the first is answered.
const MANY: usize = 8;
/// Kinds of requests (draft-ietf-secsh-filexfer-02, section 3).
const OPEN: u8 = 3;
const READ: u8 = 5;
const WRITE: u8 = 6;

#[test]
fn pieces_of_a_large_file_and_small_files_are_under_way_together() {
    let Some(python) = python("struct") else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let [large, small, target] = ["large", "small", "target"].map(|name| folder.path().join(name));
    fs::write(&large, content(5_000_000)).expect("written");
    fs::create_dir(&small).expect("made");
    let names: Vec<_> = (0..40).map(|number: u8| number.to_string()).collect();
    names.iter().for_each(|name| fs::write(small.join(name), name).expect("written"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/files/holding_sftp.py");
    for (kind, source, upward) in
        [(WRITE, &large, true), (READ, &large, false), (OPEN, &small, true), (OPEN, &small, false)]
    {
        let subsystem = format!("{} {} {kind} {MANY}", python.get_program().display(), script.display());
        let world = ancestor::world_with(&format!("Subsystem sftp {subsystem}"));
        let places = if upward {
            [source.clone().into_os_string(), in_task(&target)]
        } else {
            [in_task(source), target.clone().into_os_string()]
        };
        let done = world.login().args(ancestor::flags()).args(["cp", "-r"]).args(places).run();
        assert_eq!(done.code, 0, "{kind} {upward}: {}", done.stderr);
        if *source == large {
            assert!(fs::read(&large).expect("there") == fs::read(&target).expect("copied"), "{upward}");
            fs::remove_file(&target).expect("ours");
        } else {
            names.iter().for_each(|name| assert_eq!(fs::read(target.join(name)).expect("copied"), name.as_bytes()));
            fs::remove_dir_all(&target).expect("ours");
        }
    }
}
